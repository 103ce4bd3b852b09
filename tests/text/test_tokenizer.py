"""Text to ids and back: equal to the peers, hostile text, special tokens as plain text."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.text.alphabet import BYTE_CHARACTERS
from puna.text.tokenizer import Tokenizer
from tests.golden.kept import chunk_hashes, load
from tests.golden.strings import golden_strings

# One character of each of Unicode's classes, and the controls that text knows.
CLASSES = {
    "Lu": "A",
    "Ll": "a",
    "Lt": "\u01c5",
    "Lm": "\u02b0",
    "Lo": "漢",
    "Mn": "\u0301",
    "Mc": "\u093e",
    "Me": "\u20dd",
    "Nd": "7",
    "Nl": "\u2167",
    "No": "\u00b2",
    "Pc": "_",
    "Pd": "-",
    "Ps": "(",
    "Pe": ")",
    "Pi": "\u00ab",
    "Pf": "\u00bb",
    "Po": "!",
    "Sm": "+",
    "Sc": "$",
    "Sk": "^",
    "So": "\U0001f600",
    "Zs": " ",
    "Zl": "\u2028",
    "Zp": "\u2029",
    "Cc": "\x01",
    "Cf": "\u200b",
    "Co": "\ue000",
    "Cn": "\u0378",
    "newline": "\n",
    "tab": "\t",
}
VALID_TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


@pytest.mark.default_model
def test_the_default_model_encodes_1000_strings_as_llama_cpp_does(smollm2: Tokenizer) -> None:
    ids = load("smollm2")["ids"]
    assert [smollm2.encode(text) for text in golden_strings(len(ids))] == ids
    assert len(ids) == 1_000


def test_llama_3_encodes_10000_strings_as_metas_tokenizer_does(llama3: Tokenizer) -> None:
    ids = [llama3.encode(text) for text in golden_strings(10_000)]
    assert chunk_hashes(ids) == load("llama3")["hashes"]


def test_llama_3_decodes_what_it_encoded(llama3: Tokenizer) -> None:
    for text in golden_strings(2_000):
        assert llama3.decode(llama3.encode(text)) == text


@given(VALID_TEXT)
@settings(max_examples=300, deadline=None)
def test_valid_text_comes_back(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert tiny_tokenizer.decode(tiny_tokenizer.encode(text)) == text


@given(VALID_TEXT.map(lambda text: text.replace("▁", "")))  # SentencePiece's letter for a space
@settings(max_examples=300, deadline=None)
def test_valid_text_comes_back_through_sentencepiece(sentencepiece: Tokenizer, text: str) -> None:
    assert sentencepiece.decode(sentencepiece.encode(text)) == text


@pytest.mark.default_model
def test_bytes_that_a_vocabulary_lacks_are_dropped_and_nothing_else(smollm2: Tokenizer) -> None:
    spelled = {smollm2.token_bytes(token) for token in range(smollm2.vocab_size)}
    lacking = {byte for byte in range(256) if bytes([byte]) not in spelled}
    text = "".join(map(chr, range(0x80)))
    assert 4 in lacking
    kept = "".join(c for c in text if ord(c) not in lacking)
    assert smollm2.decode(smollm2.encode(text)) == kept


def test_random_bytes_as_text_never_raise(tiny_tokenizer: Tokenizer) -> None:
    draw = random.Random(1)
    for length in (1, 2, 3, 1_000, 65_536):
        data = draw.randbytes(length)
        for text in (data.decode("latin-1"), data.decode("utf-8", "replace")):
            assert comes_back(tiny_tokenizer, text)


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("\ud800", "\ufffd"),
        ("a\udc00b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_a_lone_surrogate_is_read_as_the_replacement_character(
    tiny_tokenizer: Tokenizer, text: str, read_as: str
) -> None:
    assert tiny_tokenizer.encode(text) == tiny_tokenizer.encode(read_as)


@pytest.mark.default_model
@pytest.mark.parametrize("name", CLASSES)
def test_an_unbroken_run_of_one_class_takes_linear_time(smollm2: Tokenizer, name: str) -> None:
    character = CLASSES[name]
    short = character * (128 * 1024 // len(character.encode()))
    once, eightfold = _seconds(smollm2, short, tries=5), _seconds(smollm2, short * 8, tries=1)
    for _ in range(3):  # other processes may take the machine away for a while
        if eightfold <= 12 * once:
            break
        eightfold = min(eightfold, _seconds(smollm2, short * 8, tries=1))
    assert eightfold <= 12 * once


@pytest.mark.parametrize("piece", ["\n", "e\u0301\u0302\u0303", " \n", "\r\n\t", "a" * 30 + " "])
def test_a_hundred_thousand_of_anything_come_back(tiny_tokenizer: Tokenizer, piece: str) -> None:
    assert comes_back(tiny_tokenizer, piece * 100_000)


def test_a_run_is_cut_every_25000_characters(tiny_tokenizer: Tokenizer) -> None:
    parts = ["x " + "the" * 8_333, "the" * 100]  # 25,001 characters, of which the run has 24,999
    assert tiny_tokenizer.encode("".join(parts)) != [
        token for part in parts for token in tiny_tokenizer.encode(part)
    ]
    run = "t" + "he" * 20_000
    cut = tiny_tokenizer.encode(run[:25_000]) + tiny_tokenizer.encode(run[25_000:])
    assert tiny_tokenizer.encode(run) == cut


def test_special_tokens_come_only_where_they_are_asked_for(tiny_tokenizer: Tokenizer) -> None:
    text = "a<|eot_id|>b<|python_tag|>"
    marked = tiny_tokenizer.encode(text, special=True)
    special = tiny_tokenizer.special
    assert set(tiny_tokenizer.encode(text)).isdisjoint(special.values())
    assert [t for t in marked if t in special.values()] == [
        special["<|eot_id|>"],
        special["<|python_tag|>"],
    ]
    assert tiny_tokenizer.decode(marked) == "ab"
    assert tiny_tokenizer.decode(marked, special=True) == text
    assert tiny_tokenizer.token_bytes(special["<|eot_id|>"]) == b""
    assert tiny_tokenizer.token_text(special["<|eot_id|>"]) == "<|eot_id|>"


def test_rows_of_the_network_beyond_the_vocabulary_are_no_text(tiny_tokenizer: Tokenizer) -> None:
    assert tiny_tokenizer.decode([tiny_tokenizer.vocab_size + 7]) == ""


def test_the_byte_alphabet_has_a_character_of_its_own_for_each_byte() -> None:
    assert len(set(BYTE_CHARACTERS)) == 256
    assert not any(character.isspace() for character in BYTE_CHARACTERS)


def comes_back(tokenizer: Tokenizer, text: str) -> bool:
    """Compared here, because pytest would show the difference of two megabytes for minutes."""
    return tokenizer.decode(tokenizer.encode(text)) == text


def _seconds(tokenizer: Tokenizer, text: str, *, tries: int) -> float:
    times = []
    for _ in range(tries):
        start = time.process_time()
        tokenizer.encode(text)
        times.append(time.process_time() - start)
    return min(times)
