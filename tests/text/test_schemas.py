"""Whatever a model says under a schema validates; what cannot be enforced is named, not ignored."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

from puna.errors import GrammarError
from puna.text.grammar import Grammar, GrammarCompiler, Mask
from puna.text.tokenizer import Tokenizer
from tests.text.schemas import REFUSED, SCHEMAS

WALKS = 6
LONGEST = 400  # tokens


@pytest.fixture(scope="module")
def compiler(tiny_tokenizer: Tokenizer) -> Iterator[GrammarCompiler]:
    compiler = GrammarCompiler(tiny_tokenizer)
    yield compiler
    compiler.close()


def check(schema: dict[str, Any], text: str) -> None:
    newest = jsonschema.Draft202012Validator
    validator = jsonschema.validators.validator_for(schema, newest)
    validator(schema, format_checker=newest.FORMAT_CHECKER).validate(json.loads(text))


def walked(mask: Mask, tokenizer: Tokenizer, seed: int) -> str | None:
    """A random answer that keeps to the mask; None if it had not ended after LONGEST tokens."""
    draw, ids = random.Random(seed), list[int]()
    for _ in range(LONGEST):
        bits = np.unpackbits(mask.bits().view(np.uint8), bitorder="little")
        choices = [int(token) for token in np.flatnonzero(bits)]
        ends = [token for token in choices if token in tokenizer.stop_ids]
        if ends and (len(ends) == len(choices) or draw.random() < 0.5):
            return tokenizer.decode(ids)
        choices = [token for token in choices if token not in tokenizer.stop_ids]
        closing = [t for t in choices if tokenizer.token_bytes(t) in (b'"', b"}", b"]", b"null")]
        ids.append(draw.choice(closing if closing and draw.random() < 0.3 else choices))
        mask.accept(ids[-1])
    return None


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_said_under_a_schema_validates(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str
) -> None:
    mask = compiler.compile(Grammar("json_schema", json.dumps(SCHEMAS[name])))
    answers = [walked(mask.fork(), tiny_tokenizer, seed) for seed in range(WALKS)]
    whole = [answer for answer in answers if answer is not None]
    assert len(whole) >= WALKS // 2
    for answer in whole:
        check(SCHEMAS[name], answer)


CLASSES = [
    *('[^"]', r"[^\\]", r'[^"\\]', "[^a-z]", r"\W", r"\D", r"\S", r"\s", ".", "[!-~]", r"[^\n]"),
    *(r"[^\x1f]", r"[\t\n]", r'[^\s"]', r"[ -\[]", r"[\x01-\x20]", '[^"]|[\\\\]', r"(?:[^\"]|a)"),
]


@pytest.mark.parametrize("one", CLASSES)
def test_a_class_lets_through_what_python_says_belongs_to_it(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, one: str
) -> None:
    """Quotes, backslashes and control characters are escapes in JSON, and count as themselves."""
    mask = compiler.compile(
        Grammar("json_schema", json.dumps({"type": "string", "pattern": f"^(?:{one})$"}))
    )
    codes = [*range(0x1C), *range(0x20, 128)]  # the four between are space to Python alone
    let = [chr(code) for code in codes if lets(mask.fork(), tiny_tokenizer, json.dumps(chr(code)))]
    assert let
    wrong = [char for char in let if not re.fullmatch(one, char)]
    assert wrong == []


def lets(mask: Mask, tokenizer: Tokenizer, text: str) -> bool:
    """Whether the whole answer may be `text`."""
    for token in tokenizer.encode(text):
        if not mask.bits()[token // 32] >> np.uint32(token % 32) & 1:
            return False
        mask.accept(token)
    return any(mask.bits()[stop // 32] >> np.uint32(stop % 32) & 1 for stop in tokenizer.stop_ids)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_named_with_its_place(
    compiler: GrammarCompiler, name: str
) -> None:
    schema, place = REFUSED[name]
    with pytest.raises(GrammarError) as refusal:
        compiler.compile(Grammar("json_schema", json.dumps(schema)))
    assert place in str(refusal.value)
