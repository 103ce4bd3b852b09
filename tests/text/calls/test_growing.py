"""Calls told piece by piece are, in every form and however they are cut, the calls told whole."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat import CallPiece
from puna.text.calls import CHATML, LLAMA, LLAMA_TAGS, CallStyle, GrowingCalls
from puna.text.calls.style import LLAMA_PYTHON

NAMES = ("add", "weather", "code_interpreter")
STYLES = {"json": LLAMA, "tags": LLAMA_TAGS, "python": LLAMA_PYTHON, "chatml": CHATML}

Calls = list[tuple[str, dict[str, object]]]

VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(10**9), 10**9),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=12),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["a", "b", "city"]), VALUES, max_size=3)
CALLS = st.lists(st.tuples(st.sampled_from(NAMES[:2]), ARGUMENTS), min_size=1, max_size=3)


def written(form: str, calls: Calls) -> str:
    """Some calls as a model writes them."""
    if form == "json":
        return "; ".join(json.dumps({"name": name, "parameters": given}) for name, given in calls)
    if form == "tags":
        return "\n".join(f"<function={n}>{json.dumps(given)}</function>" for n, given in calls)
    if form == "python":
        return f"[{', '.join(f'{name}({keywords(given)})' for name, given in calls)}]"
    tags = "<tool_call>\n{}\n</tool_call>"
    return "\n".join(
        tags.format(json.dumps({"name": name, "arguments": given})) for name, given in calls
    )


def keywords(given: dict[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def joined(pieces: list[CallPiece]) -> list[tuple[str | None, str]]:
    """Put together as OpenAI's clients do it: the first piece names, the others add."""
    found: dict[int, tuple[str | None, str]] = {}
    for piece in pieces:
        assert (piece.name is None) == (piece.id is None) == (piece.index in found)
        name, arguments = found.get(piece.index, (piece.name, ""))
        found[piece.index] = name, arguments + piece.arguments
    assert list(found) == list(range(len(found)))
    return list(found.values())


def grown(
    style: CallStyle, text: str, steps: Iterator[int]
) -> tuple[GrowingCalls, list[CallPiece]]:
    """The calls of a text that comes in steps, and the pieces before its end."""
    calls, pieces, length = GrowingCalls(style, NAMES), list[CallPiece](), 0
    while length < len(text):
        length += next(steps)
        pieces += calls.pieces(text[:length])
    return calls, pieces


@given(st.sampled_from(list(STYLES)), CALLS, st.integers(1, 7), st.integers(0, 400), st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_pieces_are_the_calls(
    form: str, calls: Calls, step: int, length: int, whole: bool
) -> None:
    text = written(form, calls)
    cut = not whole and length < len(text)
    text = text[:length] if cut else text
    growing, pieces = grown(STYLES[form], text, iter(lambda: step, 0))
    _, last = growing.end(text, cut=cut)
    told = joined([*pieces, *last])
    assert told == [(call.name, call.arguments) for call in growing.calls]
    at_once = GrowingCalls(STYLES[form], NAMES)
    at_once.end(text, cut=cut)
    assert told == [(call.name, call.arguments) for call in at_once.calls]
    if not cut:
        expected = [one for at, one in enumerate(calls) if not _repeats(calls, at)]
        assert [(name, json.loads(given)) for name, given in told] == expected


def _repeats(calls: Calls, at: int) -> bool:
    same = at > 0 and json.dumps(calls[at]) == json.dumps(calls[at - 1])
    return same and bool(calls[at][1])


@pytest.mark.parametrize("form", STYLES)
def test_arguments_are_told_long_before_they_end(form: str) -> None:
    text = written(form, [("weather", {"city": "Llanfairpwllgwyngyll " * 20})])
    _, pieces = grown(STYLES[form], text, iter(lambda: 4, 0))
    assert pieces[0].name == "weather"
    assert len(pieces) > 40
    assert max(len(piece.arguments) for piece in pieces) < 40


def test_a_call_is_not_told_while_it_may_repeat_the_one_before_it() -> None:
    same = {"city": "Oslo", "days": 2}
    for other, told in ((same, 1), ({**same, "days": 3}, 2)):
        text = written("chatml", [("weather", same), ("weather", other)])
        calls, pieces = grown(CHATML, text, iter(lambda: 1, 0))
        assert len({piece.index for piece in pieces}) == told
        calls.end(text, cut=False)
        assert len(calls.calls) == told


def test_what_follows_the_tag_is_told_once_it_is_known_to_be_a_call_or_code() -> None:
    call = '<|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}'
    calls, pieces = grown(LLAMA, call, iter(lambda: 3, 0))
    assert pieces[0].name == "weather"
    code = "<|python_tag|>print(1)"
    calls, pieces = grown(LLAMA, code, iter(lambda: 3, 0))
    assert pieces == []
    assert calls.end(code, cut=False)[1][0].name == "code_interpreter"


def test_a_long_call_is_not_read_anew_at_every_character() -> None:
    text = written("json", [("weather", {"city": "x" * 20_000})])
    calls, looks = GrowingCalls(LLAMA, NAMES), 0
    for length in range(len(text)):
        looks += bool(calls.pieces(text[:length]))
    assert looks < 1500
