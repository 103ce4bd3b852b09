"""What may be answered where tools are offered: free text until a call begins, sound calls then."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

from puna.chat import Tool
from puna.errors import GrammarError
from puna.text.answer_grammar import Form, answer_grammar
from puna.text.calls import CHATML, LLAMA, LLAMA_TAGS, PYTHON_TAG, CallStyle, GrowingCalls
from puna.text.calls.style import LLAMA_PYTHON
from puna.text.grammar import GrammarCompiler, Mask
from puna.text.tokenizer import Tokenizer

WEATHER = Tool(
    "weather",
    "Tells the weather.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 8},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "wind": {"type": "boolean"},
        },
        "required": ["city", "days"],
    },
)
CLOCK = Tool("clock")
TOOLS = (WEATHER, CLOCK, Tool("weather_map", "", {"properties": {"zoom": {"enum": [1, 2]}}}))
STYLES = {"json": LLAMA, "tags": LLAMA_TAGS, "python": LLAMA_PYTHON, "chatml": CHATML}

SOUND = {
    "json": '{"name": "weather", "parameters": {"city": "Oslo", "days": 2}}',
    "tags": '<function=weather>{"city": "Oslo", "days": 2}</function>',
    "python": '[weather(city="Oslo", days=2)]',
    "chatml": '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}'
    "\n</tool_call>",
}
SPOILT = {
    "days are a text": ("2", '"2"'),
    "too many days": ("2", "12"),
    "another name": ("days", "weeks"),
    "a longer city": ("Oslo", "Longyearbyen"),
}


@pytest.fixture(scope="module")
def compiler(tiny_tokenizer: Tokenizer) -> Iterator[GrammarCompiler]:
    compiler = GrammarCompiler(tiny_tokenizer)
    yield compiler
    compiler.close()


def mask_of(
    compiler: GrammarCompiler,
    style: CallStyle,
    form: Form = "text",
    tools: Sequence[Tool] = TOOLS,
    **more: Any,
) -> Mask:
    grammar = answer_grammar(style, tools, form, **more)
    assert grammar is not None
    return compiler.compile(grammar)


def allowed(mask: Mask) -> set[int]:
    bits = np.unpackbits(mask.bits().view(np.uint8), bitorder="little")
    return {int(token) for token in np.flatnonzero(bits)}


def lets(mask: Mask, tokenizer: Tokenizer, text: str) -> bool:
    """Whether the whole answer may be `text`."""
    for piece in tokenizer.pieces(text):
        for token in [piece] if isinstance(piece, int) else tokenizer.encode(piece):
            if token not in allowed(mask):
                return False
            mask.accept(token)
    return not tokenizer.stop_ids.isdisjoint(allowed(mask))


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("form", ["text", "calls"])
def test_a_sound_call_may_come_and_no_other(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str, form: Form
) -> None:
    mask = mask_of(compiler, STYLES[name], form)
    assert lets(mask.fork(), tiny_tokenizer, SOUND[name])
    for old, new in SPOILT.values():
        assert not lets(mask.fork(), tiny_tokenizer, SOUND[name].replace(old, new))


@pytest.mark.parametrize("name", ["json", "tags", "python"])
def test_llamas_other_forms_are_held_to_the_schema_too(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str
) -> None:
    for style in (LLAMA, LLAMA_TAGS, LLAMA_PYTHON):
        mask = mask_of(compiler, style)
        assert lets(mask.fork(), tiny_tokenizer, SOUND[name])
        for old, new in SPOILT.values():
            assert not lets(mask.fork(), tiny_tokenizer, SOUND[name].replace(old, new))


@pytest.mark.parametrize("name", STYLES)
def test_text_is_free_until_a_call_begins(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str
) -> None:
    mask = mask_of(compiler, STYLES[name])
    for text in ("", "Hello {there} [1] <b>", '{"name": "Bob", "days": 3}', "[1, 2]", '{"a": 1}'):
        assert lets(mask.fork(), tiny_tokenizer, text)


@pytest.mark.parametrize("name", STYLES)
def test_where_a_call_is_required_no_text_may_come(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str
) -> None:
    mask = mask_of(compiler, STYLES[name], "calls")
    assert tiny_tokenizer.stop_ids.isdisjoint(allowed(mask))
    for text in ("Hello", '{"name": "Bob"}', "[1]"):
        assert not lets(mask.fork(), tiny_tokenizer, text)


def test_text_may_stand_before_tags_and_nothing_after_them(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    for name in ("tags", "chatml"):
        mask = mask_of(compiler, STYLES[name])
        assert lets(mask.fork(), tiny_tokenizer, f"Let me see. {SOUND[name]}")
        assert lets(mask.fork(), tiny_tokenizer, f"{SOUND[name]}\n{SOUND[name]}")
        assert not lets(mask.fork(), tiny_tokenizer, f"{SOUND[name]} It is sunny.")


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("form", ["text", "calls"])
def test_without_parallel_calls_the_first_is_the_last(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str, form: Form
) -> None:
    mask = mask_of(compiler, STYLES[name], form, parallel=False)
    assert lets(mask, tiny_tokenizer, SOUND[name])
    assert mask.finished()


def test_calls_of_one_answer_are_bounded(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    one = '{"name": "clock", "parameters": {}}'
    mask = mask_of(compiler, LLAMA, "calls")
    assert lets(mask.fork(), tiny_tokenizer, "; ".join([one] * 16))
    assert not lets(mask.fork(), tiny_tokenizer, "; ".join([one] * 17))


def test_after_llamas_tag_only_a_call_may_come(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer
) -> None:
    if PYTHON_TAG not in tiny_tokenizer.special:
        pytest.skip("the tiny vocabulary has no such token")
    mask = mask_of(compiler, LLAMA)
    assert lets(mask.fork(), tiny_tokenizer, PYTHON_TAG + SOUND["json"])
    assert not lets(mask.fork(), tiny_tokenizer, PYTHON_TAG + "print(1)")
    builtins = (Tool("brave_search"), Tool("code_interpreter"))
    mask = mask_of(compiler, LLAMA, tools=builtins)
    assert lets(mask.fork(), tiny_tokenizer, PYTHON_TAG + "print(1)")
    assert lets(mask.fork(), tiny_tokenizer, PYTHON_TAG + 'brave_search.call(query="gold")')


def test_json_or_a_call(compiler: GrammarCompiler, tiny_tokenizer: Tokenizer) -> None:
    schema = json.dumps(
        {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    )
    for name, style in STYLES.items():
        mask = mask_of(compiler, style, "json", schema=schema)
        assert lets(mask.fork(), tiny_tokenizer, '{"ok": true}')
        assert lets(mask.fork(), tiny_tokenizer, SOUND[name])
        assert not lets(mask.fork(), tiny_tokenizer, "Hello")
        assert not lets(mask.fork(), tiny_tokenizer, '{"ok": 1}')


@pytest.mark.parametrize("name", STYLES)
def test_whatever_a_model_says_its_calls_keep_to_the_schemas(
    compiler: GrammarCompiler, tiny_tokenizer: Tokenizer, name: str
) -> None:
    mask = mask_of(compiler, STYLES[name], "calls")
    found = [
        call for seed in range(12) for call in wandered(mask, tiny_tokenizer, STYLES[name], seed)
    ]
    assert len(found) >= 6
    schemas = {tool.name: dict(tool.parameters) for tool in TOOLS}
    for tool, arguments in found:
        jsonschema.validate(json.loads(arguments), schemas[tool])


def wandered(
    mask: Mask, tokenizer: Tokenizer, style: CallStyle, seed: int
) -> list[tuple[str, str]]:
    """The calls of a random answer."""
    draw, walk, ids = random.Random(seed), mask.fork(), list[int]()
    for _ in range(500):
        choices = sorted(allowed(walk))
        if not tokenizer.stop_ids.isdisjoint(choices):
            break
        closing = [token for token in choices if tokenizer.token_bytes(token) in (b'"', b"}", b")")]
        ids.append(draw.choice(closing if closing and draw.random() < 0.3 else choices))
        walk.accept(ids[-1])
    calls = GrowingCalls(style, [tool.name for tool in TOOLS])
    calls.end(tokenizer.decode(ids, special=True), cut=True)
    return [(call.name, call.arguments) for call in calls.calls if call.complete]


ODD = Tool(
    "odd", "", {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
)


def test_a_strict_tool_is_enforced_whole_or_refused(compiler: GrammarCompiler) -> None:
    mask_of(compiler, CHATML, tools=(ODD,))
    with pytest.raises(GrammarError, match=r"'odd'.*\"uniqueItems\" at #/properties/a"):
        answer_grammar(CHATML, (replace(ODD, strict=True),), "text")


def test_a_tool_without_fixed_names_is_no_python(compiler: GrammarCompiler) -> None:
    either = Tool("either", "", {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]})
    mask_of(compiler, LLAMA, tools=(either,))
    with pytest.raises(GrammarError, match="'either' cannot be called by this model"):
        answer_grammar(LLAMA_PYTHON, (either,), "calls")


@pytest.mark.parametrize("odd", [[], 5, "a", None, {"type": 7}, {"pattern": "("}])
def test_a_malformed_tool_is_refused_or_loosened(compiler: GrammarCompiler, odd: Any) -> None:
    """A malformed pattern or type once took a peer's worker down (CVE-2025-48944)."""
    for keyword in ("type", "properties", "required", "pattern", "items", "$ref", "enum"):
        tool = Tool("odd", "", {keyword: odd})
        for style in (LLAMA, LLAMA_PYTHON, CHATML):
            try:
                mask = mask_of(compiler, style, tools=(tool,))
            except GrammarError:
                continue
            assert mask.bits().any()


def test_many_big_tools_compile_in_time(compiler: GrammarCompiler) -> None:
    properties = {f"p{at}": {"type": "string", "description": "x" * 300} for at in range(10)}
    tools = [
        Tool(f"tool_{at}", "", {"properties": properties, "required": ["p0"]}) for at in range(128)
    ]
    for style in (LLAMA, CHATML):
        assert mask_of(compiler, style, tools=tools).bits().any()
