"""Where text is cut before merging."""

from __future__ import annotations

from itertools import accumulate

import pytest
from tokenizers import pre_tokenizers

from puna.errors import UnsupportedModelError
from puna.text.alphabet import unspell
from puna.text.pretokenizer import LLAMA3_PATTERNS, pretokenizer, split_by
from tests.golden.kept import load
from tests.golden.strings import golden_strings


def pieces(splitter: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    split = splitter.pre_tokenize_str(text)
    return [unspell(spelled).decode("utf-8", "replace") for spelled, _ in split]


def test_metas_tokens_never_cross_a_cut_of_llama_3() -> None:
    splitter, lengths = split_by(LLAMA3_PATTERNS), load("llama3")["lengths"]
    for text, token_lengths in zip(golden_strings(len(lengths)), lengths, strict=True):
        cuts = accumulate(len(unspell(word)) for word, _ in splitter.pre_tokenize_str(text))
        assert set(cuts) <= set(accumulate(token_lengths))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("llama-bpe", "It's 12345 x\n\n y", ["It", "'s", " ", "123", "45", " x", "\n\n", " y"]),
        ("llama-bpe", "IT'S", ["IT", "'S"]),
        ("gpt-2", "It's 12345  x", ["It", "'s", " 12345", " ", " x"]),
        ("smollm", "x 123", ["x", " ", "1", "2", "3"]),
        ("default", "a+b 1234", ["a", "+", "b", " ", "123", "4"]),
        ("qwen2", "x 12", ["x", " ", "1", "2"]),
        ("tekken", "HelloWORLD'S", ["Hello", "WORLD", "'S"]),
        ("deepseek-llm", "ab 12\n漢字", ["ab", " ", "12", "\n", "漢字"]),
        ("deepseek-coder", "ab 12", ["ab", " ", "1", "2"]),
    ],
)
def test_each_family_cuts_in_its_own_way(name: str, text: str, expected: list[str]) -> None:
    assert pieces(pretokenizer(name), text) == expected


def test_an_unknown_pre_tokenizer_is_named() -> None:
    with pytest.raises(UnsupportedModelError, match=r"'kimi-k2'.*llama-bpe"):
        pretokenizer("kimi-k2")
