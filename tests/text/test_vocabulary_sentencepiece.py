"""SentencePiece's own files."""

from __future__ import annotations

import base64

import pytest

from puna.errors import MalformedFileError, ModelFileError, UnsupportedModelError
from puna.text.tokenizer import Tokenizer
from tests.golden.kept import load
from tests.golden.strings import golden_strings
from tests.text.folder import folder

MODEL = base64.b64decode(load("sentencepiece")["model"])


def test_500_strings_are_encoded_as_sentencepiece_does(sentencepiece: Tokenizer) -> None:
    ids = load("sentencepiece")["ids"]
    assert [sentencepiece.encode(text) for text in golden_strings(len(ids))] == ids


def test_who_is_who(sentencepiece: Tokenizer) -> None:
    assert sentencepiece.special == {"<unk>": 0, "<s>": 1, "</s>": 2}
    assert (sentencepiece.bos_id, sentencepiece.eos_id) == (1, 2)
    assert sentencepiece.add_bos
    assert sentencepiece.stop_ids == {2}
    assert sentencepiece.vocab_size == 2_000


def test_a_space_is_put_after_each_control_token(sentencepiece: Tokenizer) -> None:
    word = sentencepiece.encode("the")
    assert sentencepiece.encode("<s>the", special=True) == [1, *word]
    assert sentencepiece.encode("the</s>the", special=True) == [*word, 2, *word]


@pytest.mark.parametrize("length", [1, 2, 7, 100, 1_001, 20_000, len(MODEL) - 1])
def test_a_file_that_ends_early_is_a_named_error(length: int) -> None:
    with pytest.raises(ModelFileError):
        Tokenizer.from_checkpoint(folder({"tokenizer.model": MODEL[:length]}))


def test_unigram_is_unsupported() -> None:
    with pytest.raises(UnsupportedModelError, match="another kind"):
        Tokenizer.from_checkpoint(folder({"tokenizer.model": b"\x0a\x03\x0a\x01a\x12\x02\x18\x01"}))


@pytest.mark.parametrize(
    "data", [b"\xff" * 40, b"\x0a" + b"\x80" * 30, b"\x0a\x04\x0a\x02\xff\xfe"]
)
def test_what_is_no_protobuf_is_a_named_error(data: bytes) -> None:
    with pytest.raises((MalformedFileError, UnsupportedModelError)):
        Tokenizer.from_checkpoint(folder({"tokenizer.model": data}))
