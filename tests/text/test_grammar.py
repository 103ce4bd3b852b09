"""Grammars: what they let through, and that hostile ones are refused, quickly and loudly."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.errors import GrammarError
from puna.text.grammar import Grammar, GrammarCompiler, Mask
from puna.text.tokenizer import Tokenizer

REFUSAL_S = 0.6
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler(tiny_tokenizer: Tokenizer) -> Iterator[GrammarCompiler]:
    compiler = GrammarCompiler(tiny_tokenizer)
    compiler.compile(Grammar("json_object"))  # takes the vocabulary in and starts the child
    yield compiler
    compiler.close()


def schema(value: Any) -> Grammar:
    return Grammar("json_schema", json.dumps(value))


def allowed(mask: Mask) -> list[int]:
    bits = np.unpackbits(mask.bits().view(np.uint8), bitorder="little")
    return [int(token) for token in np.flatnonzero(bits)]


def take(mask: Mask, tokenizer: Tokenizer, text: str) -> None:
    for token in tokenizer.encode(text):
        assert token in allowed(mask)
        mask.accept(token)


def wander(mask: Mask, tokenizer: Tokenizer, seed: int) -> str:
    """Choose among the allowed tokens at random until the grammar is satisfied."""
    draw = random.Random(seed)
    ids: list[int] = []
    for _ in range(400):
        choices = allowed(mask)
        ends = [token for token in choices if token in tokenizer.stop_ids]
        if ends:
            mask.accept(draw.choice(ends))
            return tokenizer.decode(ids)
        closing = [token for token in choices if tokenizer.token_bytes(token) in (b'"', b"}")]
        token = draw.choice(closing if closing and draw.random() < 0.3 else choices)
        ids.append(token)
        mask.accept(token)
    return ""


def test_whatever_is_chosen_satisfies_the_schema(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    answers = [wander(compiler.compile(schema(PERSON)), tiny_tokenizer, s) for s in range(20)]
    finished = [json.loads(answer) for answer in answers if answer]
    assert len(finished) >= 10
    for person in finished:
        assert set(person) == {"name", "age"}
        assert isinstance(person["name"], str)
        assert len(person["name"]) <= 12
        assert isinstance(person["age"], int)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_chosen_matches_the_regex(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, seed: int
) -> None:
    pattern = r"[a-c]{3}-(?:hello|world)+[0-9]"
    text = wander(compiler.compile(Grammar("regex", pattern)), tiny_tokenizer, seed)
    assert re.fullmatch(pattern, text)


def test_bits_cover_the_vocabulary_in_32s(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    bits = compiler.compile(Grammar("json_object")).bits()
    assert bits.dtype == np.uint32
    assert bits.shape == ((tiny_tokenizer.vocab_size + 31) // 32,)


def test_the_end_is_allowed_where_the_grammar_is_satisfied_and_nowhere_else(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    mask = compiler.compile(Grammar("regex", "(he|ha)+"))
    take(mask, tiny_tokenizer, "h")
    assert tiny_tokenizer.stop_ids.isdisjoint(allowed(mask))
    take(mask, tiny_tokenizer, "e")
    assert tiny_tokenizer.stop_ids <= set(allowed(mask))
    assert not mask.finished()
    mask.accept(min(tiny_tokenizer.stop_ids))
    assert mask.finished()


def test_a_finished_answer_may_only_end(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    mask = compiler.compile(schema({"const": True}))
    take(mask, tiny_tokenizer, "true")
    assert mask.finished()
    assert set(allowed(mask)) == set(tiny_tokenizer.stop_ids)


def test_forks_go_their_own_ways(compiler: GrammarCompiler, tiny_tokenizer: Tokenizer) -> None:
    mask = compiler.compile(Grammar("regex", "t(he|on)"))
    take(mask, tiny_tokenizer, "t")
    fork = mask.fork()
    take(fork, tiny_tokenizer, "he")
    take(mask, tiny_tokenizer, "on")
    assert fork.finished()
    assert mask.finished()


def test_a_forbidden_token_is_an_error(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    mask = compiler.compile(Grammar("regex", "a"))
    with pytest.raises(GrammarError, match="not allowed"):
        mask.accept(tiny_tokenizer.encode("b")[0])


def test_control_tokens_are_no_text_of_any_grammar(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    choices = allowed(compiler.compile(Grammar("regex", r"[\s\S]{1,30}")))
    assert set(choices).isdisjoint(tiny_tokenizer.special.values())


def test_lark(compiler: GrammarCompiler, tiny_tokenizer: Tokenizer) -> None:
    mask = compiler.compile(Grammar("lark", 'start: item ("," item)*\nitem: /[a-c]+/'))
    take(mask, tiny_tokenizer, "ab,c")
    assert tiny_tokenizer.stop_ids <= set(allowed(mask))


class Timed:
    """Processor time of this process, in seconds; the child stops itself after 0.2."""

    def __enter__(self) -> Timed:
        self._start = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = self._now() - self._start

    @staticmethod
    def _now() -> float:
        times = os.times()
        return times.user + times.system


def nested(depth: int) -> Any:
    value: Any = {"type": "string"}
    for _ in range(depth):
        value = {"type": "object", "properties": {"a": value}}
    return value


REFUSED = {
    "60,000 open brackets": Grammar("regex", "(" * 60_000),
    "16,000 pairs of brackets": Grammar("regex", "(" * 16_000 + ")" * 16_000),
    "a pattern of a megabyte": Grammar("regex", "a" * 10**6),
    "an open class": Grammar("regex", "[a-z"),
    "a lookaround": Grammar("regex", "(?=a)b"),
    "half a character": Grammar("regex", "\ud800"),
    "a reference to itself": schema({"$ref": "#"}),
    "a circle of references": schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    ),
    "a reference into the web": schema({"$ref": "https://example.org/schema.json"}),
    "maxItems of 2**64 - 1": schema({"type": "array", "maxItems": 2**64 - 1}),
    "minItems of 1e300": schema({"type": "array", "minItems": 1e300}),
    "60 levels": schema(nested(60)),
    "100,000 open lists": Grammar("json_schema", "[" * 100_000),
    "100,000 open objects": Grammar("json_schema", '{"a":' * 50_000),
    "300 KB": schema({"enum": ["x" * 300_000]}),
    "6,000 properties": schema({"properties": {f"p{i}": {} for i in range(6_000)}}),
    "multiples of a million": schema({"type": "integer", "multipleOf": 999_983}),
    "many multiples": schema(
        {"properties": {f"p{i}": {"type": "integer", "multipleOf": 9_000 + i} for i in range(900)}}
    ),
    "what is not supported": schema({"type": "array", "uniqueItems": True}),
    "what is not supported, leniently": schema(
        {"type": "array", "uniqueItems": True, "x-guidance": {"lenient": True}}
    ),
    "22 patterns intersected": schema(
        {"type": "string", "allOf": [{"pattern": f"(a|b)*c.{{{i}}}"} for i in range(22)]}
    ),
    "40 patterns intersected": schema(
        {"type": "string", "allOf": [{"pattern": f"(a|b)*c.{{{3 * i}}}"} for i in range(40)]}
    ),
    "an unknown type": schema({"type": "colour"}),
    "nothing allowed": schema({"enum": []}),
    "a key twice": Grammar("json_schema", '{"type": "string", "type": "integer"}'),
    "no JSON": Grammar("json_schema", "{"),
    "an empty schema text": Grammar("json_schema", ""),
    "a list for a schema": Grammar("json_schema", "[]"),
    "rules in a circle": Grammar("lark", "start: start"),
    "no start": Grammar("lark", 'x: "a"'),
    "20,000 open brackets in Lark": Grammar("lark", "start: " + "(" * 20_000),
    "70 KB of Lark": Grammar("lark", 'start: "a"\n' * 6_500),
    "an import from nowhere": Grammar("lark", '%import os.system\nstart: "a"'),
    "no grammar": Grammar("lark", ""),
    "an unknown kind": Grammar("gbnf", "root ::= x"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_at_once(compiler: GrammarCompiler, name: str) -> None:
    with Timed() as timed, pytest.raises(GrammarError):
        compiler.compile(REFUSED[name])
    assert timed.cpu_s < REFUSAL_S


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_hostile_grammars_leave_no_trace_in_memory(compiler: GrammarCompiler) -> None:
    before = resident_bytes()
    for grammar in REFUSED.values():
        with pytest.raises(GrammarError):
            compiler.compile(grammar)
    assert resident_bytes() - before < 64 * 2**20


COSTLY = {
    "long gaps": schema({"type": "string", "pattern": "^.{0,2000}x.{0,2000}$"}),
    "repeated gaps": schema({"type": "string", "pattern": "(.*a){20}"}),
    "a memory of 300 letters": schema({"type": "string", "pattern": "^(a|b)*c.{300}$"}),
    "classes of Unicode": schema({"type": "string", "pattern": r"^(\p{L}|\p{N}){1,500}\p{Lu}$"}),
    "sixty patterns": schema({"anyOf": [{"pattern": f"^.*{i}.*x{i}$"} for i in range(60)]}),
    "900 optional names": schema(
        {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(900)}}
    ),
    "a long list": schema({"type": "array", "minItems": 10_000, "items": {"type": "integer"}}),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_enforced_costs_little_at_every_token(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str
) -> None:
    """One engine serves everybody: no schema may hold it up, or fail after it was accepted."""
    mask, draw, tokens = compiler.compile(COSTLY[name]), random.Random(1), 0
    with Timed() as timed:
        while tokens < 100 and (choices := set(allowed(mask)) - tiny_tokenizer.stop_ids):
            mask.accept(draw.choice(sorted(choices)))
            tokens += 1
    assert tokens > 0
    assert timed.cpu_s / tokens < 0.02


def test_the_next_grammar_is_compiled_after_one_was_stopped(compiler: GrammarCompiler) -> None:
    with pytest.raises(GrammarError, match="needed more than"):
        compiler.compile(REFUSED["40 patterns intersected"])
    assert compiler.compile(Grammar("json_object")).bits().any()


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){20}", "(a{1,1000}){1,1000}"])
def test_patterns_that_exhaust_backtracking_engines_cost_nothing_here(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, pattern: str
) -> None:
    with Timed() as timed:
        take(compiler.compile(Grammar("regex", pattern)), tiny_tokenizer, "a" * 40)
    assert timed.cpu_s < 2


def test_a_thousand_properties_are_still_compiled_in_time(compiler: GrammarCompiler) -> None:
    with Timed() as timed:
        compiler.compile(schema({"properties": {f"p{i}": {} for i in range(1_000)}}))
    assert timed.cpu_s < 2 * REFUSAL_S


SNIPPETS = st.lists(
    st.sampled_from([*"()[]{}|*+?^$.\\,-:\"'/", "a", "1", "{2,}", "\\p{L}", "(?:", "\n", "start"]),
    max_size=60,
).map("".join)
KEYS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "$ref",
        "enum",
        "const",
        "pattern",
        "minItems",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["object", "array", "string", "#", "#/$defs/x", "(a+)+$", "["]),
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=25,
)


@given(
    st.one_of(
        st.builds(Grammar, st.just("regex"), SNIPPETS),
        st.builds(Grammar, st.just("lark"), SNIPPETS.map(lambda text: f"start: {text}")),
        SCHEMAS.map(schema),
        st.dictionaries(KEYS, SCHEMAS, min_size=1, max_size=5).map(schema),
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_grammar_is_enforced_or_refused(compiler: GrammarCompiler, grammar: Grammar) -> None:
    with Timed() as timed:
        mask = compiled(compiler, grammar)
    assert timed.cpu_s < REFUSAL_S
    assert mask is None or mask.bits().any()


def compiled(compiler: GrammarCompiler, grammar: Grammar) -> Mask | None:
    try:
        return compiler.compile(grammar)
    except GrammarError:
        return None
