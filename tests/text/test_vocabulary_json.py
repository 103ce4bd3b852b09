"""tokenizer.json and the files beside it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from puna.errors import MalformedFileError, ModelFileError, UnsupportedModelError
from puna.text.tokenizer import Tokenizer
from tests import tiny_tokenizer as tiny_texts
from tests.golden.strings import golden_strings
from tests.text.folder import folder

LETTERS = "▁abcdehlotw"


def tokenizer(document: Any, settings: Any = None, **beside: Any) -> Tokenizer:
    files = {"tokenizer.json": json.dumps(document).encode()}
    files["tokenizer_config.json"] = json.dumps(settings or {}).encode()
    files |= {f"{name}.json": json.dumps(value).encode() for name, value in beside.items()}
    return Tokenizer.from_checkpoint(folder(files))


def llama2_style(**rules: Any) -> dict[str, Any]:
    """A vocabulary of letters and bytes as transformers writes Llama 2's."""
    texts = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *LETTERS, "▁the"]
    added = [{"id": i, "content": texts[i], "special": True} for i in range(3)]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "added_tokens": [token | flags for token in added],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]},
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {text: number for number, text in enumerate(texts)},
            "merges": [],
        },
        **rules,
    }


def test_the_json_encodes_as_the_gguf_of_the_same_vocabulary(tiny_tokenizer: Tokenizer) -> None:
    ours = tokenizer(tiny_texts.tokenizer_json(), tiny_texts.tokenizer_config())
    for text in golden_strings(320):
        assert ours.encode(text) == tiny_tokenizer.encode(text)
        assert ours.encode(text, special=True) == tiny_tokenizer.encode(text, special=True)
    assert dict(ours.special) == dict(tiny_tokenizer.special)
    assert (ours.bos_id, ours.add_bos) == (tiny_tokenizer.bos_id, tiny_tokenizer.add_bos)


def test_every_file_may_name_tokens_that_end_an_answer() -> None:
    document, settings = tiny_texts.tokenizer_json(), tiny_texts.tokenizer_config()
    ends = tokenizer(document, settings, generation_config={"eos_token_id": [65, 66]}).stop_ids
    assert {65, 66, tiny_texts.SPECIAL_IDS["<|eot_id|>"]} <= ends


def test_the_space_before_a_text_is_put_and_taken_away() -> None:
    ours = tokenizer(llama2_style(), {"bos_token": {"content": "<s>"}, "add_bos_token": True})
    assert ours.decode(ours.encode("hello")) == "hello"
    assert ours.token_text(ours.encode("hello")[0]) == " "
    assert ours.decode(ours.encode("漢 <s>")) == "漢 <s>"
    assert 1 not in ours.encode("<s>")
    assert (ours.bos_id, ours.add_bos) == (1, True)


@pytest.mark.parametrize(
    ("scheme", "spaces"), [("always", (1, 1)), ("first", (1, 0)), ("never", (0, 0))]
)
def test_metaspace_puts_its_space_where_its_scheme_says(
    scheme: str, spaces: tuple[int, int]
) -> None:
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}
    ours = tokenizer(llama2_style(normalizer=None, pre_tokenizer=metaspace))
    marked = ours.encode("a<s>a", special=True)
    before, after = marked[: marked.index(1)], marked[marked.index(1) + 1 :]
    assert (len(before) - 1, len(after) - 1) == spaces
    assert ours.encode(" a") == ours.encode("a") if scheme != "never" else True


@pytest.mark.parametrize("model", ["Unigram", "WordPiece"])
def test_another_model_than_bpe_is_unsupported(model: str) -> None:
    document = copy.deepcopy(tiny_texts.tokenizer_json())
    document["model"]["type"] = model
    with pytest.raises(UnsupportedModelError, match=model):
        tokenizer(document)


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": {"type": "BPE"}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["b c"]}},
        {"model": {"type": "BPE", "vocab": {"a": 10**12}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": "b"}, "merges": []}},
        {"added_tokens": [{"id": 1}]},
        {"pre_tokenizer": {"type": "NoSuchThing"}},
        {"decoder": {"type": "WordPiece"}},
        {"decoder": None},
    ],
)
def test_what_breaks_the_format_is_a_named_error(change: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError):
        tokenizer({**tiny_texts.tokenizer_json(), **change})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_named_error(data: bytes) -> None:
    with pytest.raises(MalformedFileError, match=r"tokenizer\.json"):
        Tokenizer.from_checkpoint(folder({"tokenizer.json": data}))


def test_a_folder_without_a_tokenizer_says_what_to_do() -> None:
    with pytest.raises(UnsupportedModelError, match="copy the one"):
        Tokenizer.from_checkpoint(folder({}))
