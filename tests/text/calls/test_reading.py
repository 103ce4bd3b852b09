"""Calls in answers: every published form, and everything that only looks like one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat import ToolCall
from puna.text.calls import CHATML, LLAMA, PYTHON_TAG, CallStyle, GrowingCalls
from puna.text.calls.style import LLAMA_PYTHON

NAMES = ("get_weather", "add", "brave_search", "code_interpreter", "ns.f-1")
WEATHER = {"city": 'São "Paulo"', "days": [1, 2]}
CALL = json.dumps({"name": "get_weather", "parameters": WEATHER})
PYTHON_CALL = "get_weather(city='São \"Paulo\"', days=[1, 2])"


def read(text: str, style: CallStyle, *, cut: bool = False) -> tuple[str, tuple[ToolCall, ...]]:
    """What is left of a whole text, and the calls in it."""
    calls = GrowingCalls(style, NAMES)
    rest, _ = calls.end(text, cut=cut)
    return rest, calls.calls


def parsed(text: str, style: CallStyle = LLAMA) -> tuple[str, list[tuple[str, object]]]:
    rest, calls = read(text, style)
    assert all(call.complete for call in calls)
    return rest, [(call.name, json.loads(call.arguments)) for call in calls]


def cut(text: str, style: CallStyle = LLAMA) -> list[tuple[str, str, bool]]:
    """What is found in a text that a limit has cut off."""
    _, calls = read(text, style, cut=True)
    return [(call.name, call.arguments, call.complete) for call in calls]


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
        f"[{PYTHON_CALL}]",
        f"{PYTHON_TAG}[ {PYTHON_CALL} ]",
        'get_weather(city="São \\"Paulo\\"", days=(1, 2,))'.join("[]"),
    ],
)
def test_llamas_call_a_tool_in_each_of_their_forms(text: str) -> None:
    assert parsed(text) == ("", [("get_weather", WEATHER)])
    assert parsed(text, LLAMA_PYTHON) == ("", [("get_weather", WEATHER)])


def test_several_calls_keep_their_order() -> None:
    add = '{"name": "add", "parameters": {}}'
    both = [("get_weather", WEATHER), ("add", {})]
    assert parsed(f"{CALL}; {add}") == ("", both)
    assert parsed(f"{CALL}\n{add}") == ("", both)
    assert parsed(f"[{PYTHON_CALL}, add()]") == ("", both)
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
    two = one.replace("1", "2")
    assert parsed(f"I add. {one}{two}", CHATML) == (
        "I add.",
        [("add", {"a": 1}), ("add", {"a": 2})],
    )
    assert parsed(one.removesuffix("\n</tool_call>"), CHATML)[1] == [("add", {"a": 1})]


def test_a_call_that_repeats_the_one_before_it_is_left_out() -> None:
    assert parsed(f"{CALL}; {CALL}; {CALL}")[1] == [("get_weather", WEATHER)]
    clock = '{"name": "add", "parameters": {}}'
    assert len(parsed(f"{clock}; {clock}")[1]) == 2  # without arguments it may mean it


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
        "[add(1, 2)]",
        "[add(a=b)]",
        "[add(a=__import__('os').system('x'))]",
        "[no_such_tool(a=1)]",
        "[add(a=1) for x in y]",
        "[add(a=1, a=2)]",
        "[add(a=1",
        "[add(a=" + "[" * 100_000,
        "[]",
        "[1, 2]",
        "[" * 100_000,
        '{"name": "add", "parameters": ' + '{"a":' * 50_000,
        PYTHON_TAG,
        "",
    ],
)
def test_what_is_no_sound_call_stays_text(text: str) -> None:
    for style in (LLAMA, CHATML, LLAMA_PYTHON):
        assert parsed(text, style) == (text, [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"name": "add", "parameters": {"a": 1', [("add", '{"a": 1', False)]),
        ('{"name": "add", "par', [("add", "", False)]),
        ('{"name": "add", "parameters": {"a": 1}', [("add", '{"a": 1}', True)]),
        ('{"name": "ad', []),
        (
            f'{CALL}; {{"name": "add", "para',
            [("get_weather", json.dumps(WEATHER), True), ("add", "", False)],
        ),
        ('<function=add>{"a": "x', [("add", '{"a": "x', False)]),
        ("<function=ad", []),
        ('[add(a=1, b="x', [("add", '{"a": 1, "b": "x', False)]),
        ("[add(a=1), add(a=2), ad", [("add", '{"a": 1}', True), ("add", '{"a": 2}', True)]),
        ("[add", []),
        (f'{CALL}; {{"na', [("get_weather", json.dumps(WEATHER), True)]),
        ("<function=add>{}</function>\n<function=a", [("add", "{}", True)]),
        ("[add(a=1, b=23", [("add", '{"a": 1', False)]),
        ('[add(a="x\\', [("add", '{"a": "x', False)]),
    ],
)
def test_whole_calls_are_saved_from_an_answer_that_was_cut(
    text: str, found: list[tuple[str, str, bool]]
) -> None:
    assert cut(text) == found


def test_a_tag_that_was_cut() -> None:
    text = '<tool_call>\n{"name": "add", "arguments": {"a": [1, '
    assert cut(text, CHATML) == [("add", '{"a": [1, ', False)]
    assert cut("<tool_call>\n{", CHATML) == []


def test_without_tools_nothing_is_a_call() -> None:
    calls = GrowingCalls(LLAMA, ())
    assert calls.end(CALL, cut=False) == (CALL, ())
    assert calls.calls == ()


def test_each_call_has_an_id_of_its_own() -> None:
    _, calls = read("[add(a=1), add(a=2)]", LLAMA)
    assert len({call.id for call in calls}) == 2


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *("{", "}", '"', "name", "parameters", ":", ",", "<tool_call>", "</tool_call>"),
            *("<function=add>", "</function>", PYTHON_TAG, CALL, "x", "\n", "add.call(", ")"),
            *("[add(", "a=", "'", "\\", "[", "]", "-1", "True", f"[{PYTHON_CALL}"),
        ]
    )
)


@given(FRAGMENTS.map("".join), st.sampled_from([LLAMA, CHATML, LLAMA_PYTHON]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_parser_fail(text: str, style: CallStyle, was_cut: bool) -> None:
    rest, calls = read(text, style, cut=was_cut)
    assert calls or rest == ("" if was_cut else text)
    for call in calls:
        assert not call.complete or isinstance(json.loads(call.arguments), dict)
    assert all(call.complete for call in calls[:-1])
