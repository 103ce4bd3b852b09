"""The vocabulary that a GGUF carries in its `tokenizer.ggml.*` keys.

In: a GGUF's metadata.  Out: a Vocabulary, byte-level BPE ("gpt2") or
SentencePiece ("llama").  Does not know tensors, nor chat templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import tokenizers
from tokenizers import normalizers

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.text.byte_level import byte_level_bpe
from puna.text.merges import Merge, merges_from_order
from puna.text.pretokenizer import IGNORE_MERGES, pretokenizer
from puna.text.vocabulary import SpacePrefix, Vocabulary, steers, stop_tokens

_PREFIX = "tokenizer.ggml."


class TokenType(IntEnum):
    """What `tokenizer.ggml.token_type` says of a token (GGUF specification)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def vocabulary_from_gguf(metadata: Mapping[str, Any]) -> Vocabulary:
    """Read the vocabulary; raises MalformedFileError or UnsupportedModelError."""
    fields = GgufVocabulary(metadata)
    model = fields.value("model", str)
    if model == "gpt2":
        return _byte_level(fields)
    if model == "llama":
        return _sentencepiece(fields)
    raise UnsupportedModelError(
        f"the file's tokenizer is of the kind {model!r} (tokenizer.ggml.model); "
        "Puna runs 'gpt2' (byte-level BPE) and 'llama' (SentencePiece)"
    )


class GgufVocabulary:
    """The `tokenizer.ggml.*` keys, checked for type as they are asked for."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self.tokens: Sequence[str] = self._texts("tokens")
        self.types = self._numbers("token_type", np.full(len(self.tokens), TokenType.NORMAL))
        self.added = self._ids_of(TokenType.USER_DEFINED)
        self.special = {self.tokens[token]: token for token in self._special_ids()}

    def value(self, key: str, kind: type, default: Any = None) -> Any:
        """Return the value under `key`, which must be of that kind if it is there."""
        value = self._metadata.get(_PREFIX + key, default)
        if value is not None and not isinstance(value, kind):
            raise MalformedFileError(
                f"{_PREFIX}{key} is of type {type(value).__name__}, not {kind.__name__}"
            )
        return value

    def token_id(self, key: str) -> int | None:
        """Return a token id such as `bos_token_id`, which must lie in the vocabulary."""
        token = self.value(key, int)
        if token is not None and not 0 <= token < len(self.tokens):
            raise MalformedFileError(
                f"{_PREFIX}{key} is {token}, but the vocabulary has {len(self.tokens)} tokens"
            )
        return None if token is None else int(token)

    def merges(self) -> list[Merge]:
        """The merges in their order, without any that would make a special token of text."""
        merges = self._texts("merges")
        forbidden = _merges_into(self.special).intersection(merges)
        if forbidden:
            merges = [merge for merge in merges if merge not in forbidden]
        pairs: list[Any] = [tuple(merge.split(" ", 1)) for merge in merges]
        if not set(map(len, pairs)) <= {2}:
            raise MalformedFileError(f"{_PREFIX}merges has an entry that is not two tokens")
        return pairs

    def scores(self) -> Any:
        """(tokens,) float32: the higher, the earlier a piece is merged."""
        return self._numbers("scores", None)

    def encodable(self) -> dict[str, int]:
        """The tokens that text may become, with the byte tokens."""
        ids = dict(zip(self.tokens, range(len(self.tokens)), strict=True))
        for token in self.special:
            del ids[token]
        return ids

    def record(self, plain: tokenizers.Tokenizer, **fields: Any) -> Vocabulary:
        """Fill in what both kinds of vocabulary share."""
        plain.add_tokens([tokenizers.AddedToken(t, normalized=False) for t in self._plain_added()])
        hidden = frozenset(self._ids_of(TokenType.CONTROL) + self._ids_of(TokenType.UNKNOWN))
        ends = [self.token_id(f"{end}_token_id") for end in ("eos", "eot", "eom")]
        return Vocabulary(
            plain=plain,
            tokens=self.tokens,
            special=self.special,
            hidden=hidden,
            literal=hidden | frozenset(self.added),
            stop_ids=stop_tokens(self.special, ends),
            **fields,
        )

    def _special_ids(self) -> list[int]:
        steering = [token for token in self.added if steers(self.tokens[token])]
        ids = self._ids_of(TokenType.CONTROL) + self._ids_of(TokenType.UNKNOWN) + steering
        return [token for token in ids if self.tokens[token]]

    def _plain_added(self) -> list[str]:
        texts = [self.tokens[token] for token in self.added]
        return [text for text in texts if text and text not in self.special]

    def _ids_of(self, kind: TokenType) -> list[int]:
        return [int(token) for token in np.flatnonzero(self.types == kind)]

    def _texts(self, key: str) -> Sequence[str]:
        texts: Sequence[str] = self.value(key, list)
        if not texts or set(map(type, texts)) != {str}:  # as fast as a vocabulary is long
            raise MalformedFileError(f"{_PREFIX}{key} is missing, empty or not a list of strings")
        return texts

    def _numbers(self, key: str, default: Any) -> Any:
        given = self._metadata.get(_PREFIX + key, default)
        numbers = np.asarray(given) if given is not None else np.empty(0)
        if numbers.shape != (len(self.tokens),) or numbers.dtype.kind not in "iuf":
            raise MalformedFileError(
                f"{_PREFIX}{key} must hold one number for each of the {len(self.tokens)} tokens"
            )
        return numbers


def _merges_into(texts: Iterable[str]) -> set[str]:
    """Every merge that makes one of the texts, as a file writes it: two parts and a space."""
    cuts = ((text, cut) for text in texts for cut in range(len(text) + 1))
    return {f"{text[:cut]} {text[cut:]}" for text, cut in cuts if " " not in text[:cut]}


def _byte_level(fields: GgufVocabulary) -> Vocabulary:
    name = fields.value("pre", str, "default")
    splitter = pretokenizer(name)
    plain = byte_level_bpe(
        fields.encodable(), fields.merges(), splitter, ignore_merges=name in IGNORE_MERGES
    )
    bos = fields.token_id("bos_token_id")
    starts = fields.value("add_bos_token", bool, name in IGNORE_MERGES)
    return fields.record(
        plain,
        spelling="byte_level",
        bos_id=bos,
        eos_id=fields.token_id("eos_token_id"),
        add_bos=starts and bos is not None,
    )


def _sentencepiece(fields: GgufVocabulary) -> Vocabulary:
    pieces = _mergeable_pieces(fields)
    merges = merges_from_order(pieces, {piece: rank for rank, piece in enumerate(pieces)})
    bos, eos = fields.token_id("bos_token_id"), fields.token_id("eos_token_id")
    space = fields.value("add_space_prefix", bool, True)
    return fields.record(
        sentencepiece_bpe(fields.encodable(), merges),
        spelling="metaspace",
        bos_id=1 if bos is None else bos,
        eos_id=2 if eos is None else eos,
        add_bos=fields.value("add_bos_token", bool, True),
        prefix=SpacePrefix("always" if space else "never"),
    )


def _mergeable_pieces(fields: GgufVocabulary) -> list[str]:
    """Normal pieces, best score first; single characters take part as what is merged."""
    order = np.argsort(-fields.scores(), kind="stable")
    types, tokens = fields.types, fields.tokens
    kinds = (TokenType.NORMAL, TokenType.UNUSED)
    return [tokens[token] for token in order if types[token] in kinds and tokens[token]]


def sentencepiece_bpe(vocabulary: dict[str, int], merges: list[Merge]) -> tokenizers.Tokenizer:
    """BPE over characters, spaces spelled "▁", unknown characters spelled as byte tokens."""
    model = tokenizers.models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True)
    plain = tokenizers.Tokenizer(model)
    plain.normalizer = normalizers.Replace(" ", "▁")
    return plain
