"""The vocabulary in Meta's tiktoken-format `tokenizer.model` of Llama 3.

In: lines of base64 bytes and a rank.  Out: a Vocabulary with Llama 3's 256
special tokens after the ranks.  Does not know other uses of the format.
"""

from __future__ import annotations

import base64
import re

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.text.alphabet import spell
from puna.text.byte_level import byte_level_bpe
from puna.text.merges import merges_from_order
from puna.text.pretokenizer import LLAMA3_PATTERNS, split_by
from puna.text.vocabulary import Vocabulary, stop_tokens

_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n?")
_LLAMA3_RANKS = 128_000
_SPECIAL_TOKENS = 256

# Source: "Special tokens used with Llama 3.1", Meta; the unnamed ones are reserved.
_NAMED = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>",
    "<|finetune_right_pad_id|>",
    "<|step_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    "<|image|>",
)


def looks_like_tiktoken(data: bytes) -> bool:
    """Whether the first line is base64 and a rank."""
    return _LINE.match(data) is not None


def vocabulary_from_tiktoken(data: bytes) -> Vocabulary:
    """Read the ranks; raises MalformedFileError or UnsupportedModelError."""
    ranked = _ranked_tokens(data)
    if len(ranked) != _LLAMA3_RANKS:
        raise UnsupportedModelError(
            f"tokenizer.model has {len(ranked)} ranks where Llama 3 has {_LLAMA3_RANKS}; for "
            "another vocabulary put the model's tokenizer.json into the folder"
        )
    ranks = {token: rank for rank, token in enumerate(ranked)}
    merges = merges_from_order(ranked, ranks)
    special = {text: len(ranked) + i for i, text in enumerate(_special_tokens())}
    return Vocabulary(
        plain=byte_level_bpe(ranks, merges, split_by(LLAMA3_PATTERNS), ignore_merges=True),
        tokens=[*ranked, *special],
        spelling="byte_level",
        special=special,
        hidden=frozenset(special.values()),
        literal=frozenset(special.values()),
        bos_id=special["<|begin_of_text|>"],
        eos_id=special["<|end_of_text|>"],
        stop_ids=stop_tokens(special, ()),
        add_bos=True,
    )


def _ranked_tokens(data: bytes) -> list[str]:
    """The tokens in order of rank, spelled in the byte alphabet."""
    tokens: list[str] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            tokens.append(_token_of(line, number, len(tokens)))
    if len(set(tokens)) != len(tokens):
        raise MalformedFileError("tokenizer.model holds the same token twice")
    return tokens


def _token_of(line: bytes, number: int, expected_rank: int) -> str:
    try:
        text, rank = line.split()
        token = base64.b64decode(text, validate=True)
        if int(rank) == expected_rank and token:
            return spell(token)
    except ValueError:
        pass
    raise MalformedFileError(
        f"line {number} of tokenizer.model is not base64 and the rank {expected_rank}"
    )


def _special_tokens() -> list[str]:
    reserved = _SPECIAL_TOKENS - len(_NAMED)
    return [*_NAMED, *(f"<|reserved_special_token_{2 + i}|>" for i in range(reserved))]
