"""Streaming is decoding: nothing lost, nothing twice, never half a character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.text.stream import StreamDecoder
from puna.text.tokenizer import Tokenizer
from tests.golden.strings import golden_strings

IDS = st.lists(st.integers(0, 1_999), max_size=60)
TEXT = st.text(st.characters(codec="utf-8"), max_size=80)


def streamed(tokenizer: Tokenizer, ids: list[int], *, continuing: bool = False) -> list[str]:
    stream = StreamDecoder(tokenizer, continuing=continuing)
    return [*map(stream.push, ids), stream.flush()]


@given(IDS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_random_ids_of_sentencepiece(
    sentencepiece: Tokenizer, ids: list[int], continuing: bool
) -> None:
    pieces = streamed(sentencepiece, ids, continuing=continuing)
    assert "".join(pieces) == sentencepiece.decode(ids, continuing=continuing)


@given(st.lists(st.integers(0, 330), max_size=60))
@settings(max_examples=300, deadline=None)
def test_random_ids_of_byte_level_bpe(tiny_tokenizer: Tokenizer, ids: list[int]) -> None:
    assert "".join(streamed(tiny_tokenizer, ids)) == tiny_tokenizer.decode(ids)


@given(TEXT)
@settings(max_examples=300, deadline=None)
def test_valid_text_streams_in_whole_characters(tiny_tokenizer: Tokenizer, text: str) -> None:
    pieces = streamed(tiny_tokenizer, tiny_tokenizer.encode(text))
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces).replace("\ufffd", "", text.count("\ufffd"))


@given(TEXT.map(lambda text: text.replace("▁", "")))  # SentencePiece's letter for a space
@settings(max_examples=300, deadline=None)
def test_valid_text_streams_through_sentencepiece(sentencepiece: Tokenizer, text: str) -> None:
    assert "".join(streamed(sentencepiece, sentencepiece.encode(text))) == text


@pytest.mark.default_model
def test_the_default_model_streams_golden_strings(smollm2: Tokenizer) -> None:
    for text in golden_strings(320):
        ids = smollm2.encode(text)
        assert "".join(streamed(smollm2, ids)) == smollm2.decode(ids)


def test_a_character_comes_out_with_its_last_byte(tiny_tokenizer: Tokenizer) -> None:
    ids = tiny_tokenizer.encode("\U0001f600")
    assert len(ids) == 4
    assert streamed(tiny_tokenizer, ids) == ["", "", "", "\U0001f600", ""]
    assert streamed(tiny_tokenizer, ids[:3]) == ["", "", "", "\ufffd"]


def test_the_space_before_a_text_is_no_text_but_belongs_to_a_continuation(
    sentencepiece: Tokenizer,
) -> None:
    ids = sentencepiece.encode("the")
    assert "".join(streamed(sentencepiece, ids)) == "the"
    assert "".join(streamed(sentencepiece, ids, continuing=True)) == " the"


def test_a_control_token_is_shown_where_it_is_asked_for(tiny_tokenizer: Tokenizer) -> None:
    tag = tiny_tokenizer.special["<|python_tag|>"]
    assert StreamDecoder(tiny_tokenizer).push(tag) == ""
    assert StreamDecoder(tiny_tokenizer, show=[tag]).push(tag) == "<|python_tag|>"
