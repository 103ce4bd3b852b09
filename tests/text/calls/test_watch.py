"""Text streams on as long as no call can have begun in it, and not a character more."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.text.calls import CHATML, LLAMA, PYTHON_TAG, CallStyle, CallWatch

NAMES = ("add", "weather")
CALLS = {
    '{"name": "add", "parameters": {}}': LLAMA,
    '{ "type": "function", "name": "weather"': LLAMA,
    "[weather(": LLAMA,
    f"{PYTHON_TAG}print(1)": LLAMA,
    "<function=add>": LLAMA,
    "<tool_call>\n": CHATML,
}


def watched(text: str, style: CallStyle, cuts: list[int]) -> tuple[str, CallWatch]:
    watch = CallWatch(style, NAMES)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return "".join(watch.push(text[a:b]) for a, b in pairwise(places)), watch


@given(st.sampled_from(sorted(CALLS)), st.lists(st.integers(0, 99)))
def test_a_call_is_noticed_however_it_is_cut(call: str, cuts: list[int]) -> None:
    said, watch = watched(call, CALLS[call], cuts)
    assert (said, watch.held, watch.begun) == ("", call, True)


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("Use a[0] and {x} or <b>.", CHATML),
        ("Use a[0] and {x} or <b>.", LLAMA),
        ('{"name": "Bob", "age": 3}', LLAMA),
        ('{"answer": 1}', LLAMA),
        ("[1, 2, 3]", LLAMA),
        ("[adder(1)]", LLAMA),
    ],
)
def test_what_is_no_call_streams_on(text: str, style: CallStyle) -> None:
    watch = CallWatch(style, NAMES)
    said = "".join(watch.push(one) for one in text)
    assert said == text
    assert not watch.begun


def test_text_before_a_call_is_let_through() -> None:
    said, watch = watched("I add. <tool_call>\n{", CHATML, [3, 9, 12])
    assert (said, watch.held) == ("I add. ", "<tool_call>\n{")


def test_only_what_may_become_a_call_is_held_back() -> None:
    watch = CallWatch(CHATML, NAMES)
    assert watch.push("a <tool") == "a "
    assert watch.push("box> b") == "<toolbox> b"
    assert CallWatch(LLAMA, NAMES).push("Hello") == "Hello"
