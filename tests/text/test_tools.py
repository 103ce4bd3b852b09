"""Calls in answers: every published form, and everything that only looks like one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat import Tool
from puna.text.tools import PYTHON_TAG, call_marks, parse_tool_calls

TOOLS = tuple(
    Tool(name) for name in ("get_weather", "add", "brave_search", "code_interpreter", "ns.f-1")
)
WEATHER = {"city": 'São "Paulo"', "days": [1, 2]}
CALL = json.dumps({"name": "get_weather", "parameters": WEATHER})


def parsed(text: str, template: str = "llama31") -> tuple[str, list[tuple[str, object]]]:
    rest, calls = parse_tool_calls(text, template, TOOLS)
    return rest, [(call.name, json.loads(call.arguments)) for call in calls]


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"{PYTHON_TAG}{CALL}",
        f"\n {CALL}\n",
        json.dumps({"type": "function", "name": "get_weather", "parameters": WEATHER}, indent=4),
        json.dumps({"name": "get_weather", "arguments": WEATHER}),
        json.dumps({"name": "get_weather", "parameters": json.dumps(WEATHER)}),
        f"<function=get_weather>{json.dumps(WEATHER)}</function>",
        f"{PYTHON_TAG}<function=get_weather> {json.dumps(WEATHER)}",
    ],
)
def test_llama_31_calls_a_tool_in_each_of_its_forms(text: str) -> None:
    assert parsed(text) == ("", [("get_weather", WEATHER)])


def test_several_calls_keep_their_order() -> None:
    add = '{"name": "add", "parameters": {}}'
    both = [("get_weather", WEATHER), ("add", {})]
    assert parsed(f"{CALL}; {add}") == ("", both)
    assert parsed(f"{CALL}\n{add}") == ("", both)
    tags = f"<function=get_weather>{json.dumps(WEATHER)}</function>\n<function=add>{{}}</function>"
    assert parsed(f"First: {tags} then wait.")[1] == both


def test_text_around_function_tags_stays() -> None:
    assert parsed("Let me see. <function=add>{}</function> Done.") == (
        "Let me see.  Done.",
        [("add", {})],
    )


def test_built_in_tools_and_code() -> None:
    search = f'{PYTHON_TAG}brave_search.call(query="gold price")'
    assert parsed(search) == ("", [("brave_search", {"query": "gold price"})])
    code = "print('a')\nfor i in range(3): pass"
    assert parsed(PYTHON_TAG + code) == ("", [("code_interpreter", {"code": code})])


def test_chatml_calls_in_tags_with_text_around() -> None:
    one = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    assert parsed(f"I add. {one}{one}", "chatml") == ("I add.", [("add", {"a": 1})] * 2)
    assert parsed(one.removesuffix("\n</tool_call>"), "chatml")[1] == [("add", {"a": 1})]


@pytest.mark.parametrize(
    "text",
    [
        "The weather is fine.",
        '{"name": "get_weather"}',
        '{"name": "get_weather", "parameters": 7}',
        '{"name": "get_weather", "parameters": {"city": "x"}',
        '{"name": "no_such_tool", "parameters": {}}',
        '{"name": 5, "parameters": {}}',
        '{"city": "Paris"}',
        f"{CALL} and that is that",
        "<function=get_weather>not json</function>",
        "<function=no_such_tool>{}</function>",
        "<function=>{}</function>",
        "<tool_call>{}</tool_call>",
        'no_such.call(query="x")',
        "[" * 100_000,
        '{"name": "add", "parameters": ' + '{"a":' * 50_000,
        PYTHON_TAG,
        "",
    ],
)
def test_what_is_no_sound_call_stays_text(text: str) -> None:
    for template in ("llama31", "chatml"):
        assert parsed(text, template) == (text, [])


def test_without_tools_nothing_is_a_call() -> None:
    assert parse_tool_calls(CALL, "llama31", ()) == (CALL, ())


def test_each_call_has_an_id_of_its_own() -> None:
    _, calls = parse_tool_calls(f"{CALL}\n{CALL}", "llama31", TOOLS)
    assert len({call.id for call in calls}) == 2


def test_the_marks_to_show_are_llama_31s() -> None:
    assert list(call_marks("llama31")) == [PYTHON_TAG]
    assert list(call_marks("chatml")) == []


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *("{", "}", '"', "name", "parameters", ":", ",", "<tool_call>", "</tool_call>"),
            *("<function=add>", "</function>", PYTHON_TAG, CALL, "x", "\n", "add.call(", ")"),
        ]
    )
)


@given(FRAGMENTS.map("".join), st.sampled_from(["llama31", "chatml", "jinja"]))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_parser_fail(text: str, template: str) -> None:
    rest, calls = parse_tool_calls(text, template, TOOLS)
    assert calls or rest == text
    for call in calls:
        assert isinstance(json.loads(call.arguments), dict)
