"""The vocabulary in a `tokenizer.json`, with what lies beside it.

In: tokenizer.json, tokenizer_config.json, generation_config.json, config.json.
Out: a Vocabulary.  Does not know chat templates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import tokenizers
from tokenizers import models

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.formats.strict_json import parse_object
from puna.text.vocabulary import SpacePrefix, Vocabulary, steers, stop_tokens


def vocabulary_from_json(files: Mapping[str, bytes], config: Mapping[str, Any]) -> Vocabulary:
    """Read the vocabulary; raises MalformedFileError or UnsupportedModelError."""
    document = _object(files, "tokenizer.json")
    settings = _object(files, "tokenizer_config.json")
    generation = _object(files, "generation_config.json")
    try:
        return _JsonVocabulary(document).record(settings, generation, config)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise MalformedFileError(f"tokenizer.json is not in its format: {error!r}") from None


class _JsonVocabulary:
    """A parsed tokenizer.json, taken apart into tokens, rules and special tokens."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._model = document["model"]
        if self._model.get("type", "BPE") != "BPE":
            raise UnsupportedModelError(
                f"tokenizer.json holds a {self._model['type']} model; Puna runs BPE"
            )
        self._added = document.get("added_tokens") or []
        self._ids = {**self._model["vocab"], **{t["content"]: t["id"] for t in self._added}}
        self._special = {
            token["content"]: token["id"]
            for token in self._added
            if token["content"] and (token["special"] or steers(token["content"]))
        }

    def record(
        self, settings: dict[str, Any], generation: dict[str, Any], config: Mapping[str, Any]
    ) -> Vocabulary:
        """Put the vocabulary together."""
        bos = self._named(settings, "bos_token", config)
        eos = self._named(settings, "eos_token", config)
        ends = [eos, *_ids(config.get("eos_token_id")), *_ids(generation.get("eos_token_id"))]
        prefix = _take_prefix(self._document)
        return Vocabulary(
            plain=self._plain(),
            tokens=self._tokens(),
            spelling=_spelling(self._document.get("decoder")),
            special=self._special,
            hidden=frozenset(token["id"] for token in self._added if token["special"]),
            literal=frozenset(token["id"] for token in self._added),
            bos_id=bos,
            eos_id=eos,
            stop_ids=stop_tokens(self._special, ends),
            add_bos=bos is not None and self._adds_bos(settings),
            prefix=prefix,
        )

    def _tokens(self) -> list[str]:
        size = max(self._ids.values()) + 1
        if min(self._ids.values()) < 0 or size > 2 * len(self._ids) + 1024:
            raise ValueError("token ids are negative or far apart")
        tokens = [""] * size
        for token, id_ in self._ids.items():
            tokens[id_] = token
        return tokens

    def _plain(self) -> tokenizers.Tokenizer:
        """Everything of the file but the special tokens and what pads, cuts or adds them."""
        plain_added = [token for token in self._added if token["content"] not in self._special]
        rules = ("normalizer", "pre_tokenizer", "decoder")
        skeleton = {rule: self._document.get(rule) for rule in rules}
        skeleton["model"] = {"type": "BPE", "vocab": {}, "merges": []}
        plain: tokenizers.Tokenizer = _built(
            lambda: tokenizers.Tokenizer.from_str(json.dumps(skeleton))
        )
        plain.model = _built(self._bpe)
        plain.add_tokens([_added_token(token) for token in plain_added if token["content"]])
        return plain

    def _bpe(self) -> models.BPE:
        model, special = self._model, self._special
        unknown = model.get("unk_token")
        vocabulary = {t: i for t, i in self._ids.items() if t not in special or t == unknown}
        pairs = (m.split(" ", 1) if isinstance(m, str) else m for m in model["merges"])
        return models.BPE(
            vocab=vocabulary,
            merges=[(left, right) for left, right in pairs if left + right not in special],
            unk_token=unknown,
            fuse_unk=bool(model.get("fuse_unk")),
            byte_fallback=bool(model.get("byte_fallback")),
            ignore_merges=bool(model.get("ignore_merges")),
        )

    def _named(self, settings: dict[str, Any], key: str, config: Mapping[str, Any]) -> int | None:
        """The id of `bos_token` or `eos_token`, by name or else by config.json's number."""
        token = settings.get(key)
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str) and text in self._ids:
            return int(self._ids[text])
        numbers = _ids(config.get(f"{key}_id"))
        return numbers[0] if numbers else None

    def _adds_bos(self, settings: dict[str, Any]) -> bool:
        declared = settings.get("add_bos_token")
        if isinstance(declared, bool):
            return declared
        processor = self._document.get("post_processor") or {}
        return any(
            bool(step["single"]) and "SpecialToken" in step["single"][0]
            for step in processor.get("processors", [processor])
            if step.get("type") == "TemplateProcessing"
        )


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    return parse_object(files.get(name, b"{}"), name)


def _built(build: Any) -> Any:
    try:
        return build()
    except (KeyError, TypeError, ValueError):
        raise
    except Exception as error:  # the library raises nothing narrower
        raise MalformedFileError(f"tokenizer.json cannot be built: {error}") from None


def _added_token(token: dict[str, Any]) -> tokenizers.AddedToken:
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    return tokenizers.AddedToken(token["content"], **{flag: bool(token[flag]) for flag in flags})


def _take_prefix(document: dict[str, Any]) -> SpacePrefix:
    """Find the rule that puts a space before text and take it out: the tokenizer does it itself."""
    prefix = SpacePrefix()
    for rule in _rules(document.get("normalizer"), "normalizers"):
        if rule.get("type") == "Prepend":
            rule.update(prepend="")
            prefix = SpacePrefix("always")
    for rule in _rules(document.get("pre_tokenizer"), "pretokenizers"):
        if rule.get("type") == "Metaspace":
            prefix = SpacePrefix(_scheme(rule), unless_there=True)
            rule.update(prepend_scheme="never", add_prefix_space=False)
    return prefix


def _scheme(rule: dict[str, Any]) -> Literal["never", "first", "always"]:
    scheme = rule.get("prepend_scheme")
    if scheme == "first":
        return "first"
    if scheme is None:
        return "always" if rule.get("add_prefix_space", True) else "never"
    return "always" if scheme == "always" else "never"


def _rules(rule: dict[str, Any] | None, members: str) -> list[dict[str, Any]]:
    if rule is None:
        return []
    inner = rule.get(members) if rule.get("type") == "Sequence" else None
    return [rule] if inner is None else [deep for one in inner for deep in _rules(one, members)]


def _spelling(decoder: dict[str, Any] | None) -> Literal["byte_level", "metaspace"]:
    kinds = {rule.get("type") for rule in _rules(decoder, "decoders")}
    if "ByteLevel" in kinds:
        return "byte_level"
    if kinds & {"Metaspace", "ByteFallback", "Replace"}:
        return "metaspace"
    raise UnsupportedModelError(
        f"tokenizer.json decodes by {sorted(map(str, kinds))}; "
        "Puna knows byte-level and SentencePiece vocabularies"
    )


def _ids(value: Any) -> list[int]:
    """Numbers as configs give them: one, several or none."""
    values = value if isinstance(value, list) else [value]
    return [number for number in values if isinstance(number, int)]
