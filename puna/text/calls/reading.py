"""Tool calls in what a model wrote.

In: an answer's text, the style of its model, the names of the tools that it may call.
Out: the text without the calls, and the calls.  What is not a sound call of such a
tool stays text.  Does not call anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from puna.text.calls.format import PYTHON_TAG, CallFormat, Written
from puna.text.calls.style import CallStyle

_SEPARATORS = " \t\r\n;,"

Found = tuple[str, tuple[Written, ...]]  # the text before the calls, and these


def written_calls(text: str, style: CallStyle, names: Sequence[str], *, cut: bool = False) -> Found:
    """Return the text that is left and the calls in their order, repeated ones, too.

    With `cut` the text may end within a call, which is then the last and not complete.
    """
    for form in style.formats if names else ():
        rest, calls = (_scattered if form.trigger else _row)(text, form, cut)
        if calls and all(call.name in names for call in calls):
            return rest, calls
    return text, ()


def distinct(calls: Sequence[Written]) -> list[Written]:
    """Return the calls without those that repeat the one before them."""
    return [call for at, call in enumerate(calls) if not repeats(calls[: at + 1])]


def repeats(calls: Sequence[Written]) -> bool:
    """Whether the last call says what the one before it said; one without arguments may do so."""
    return len(calls) > 1 and calls[-1] == calls[-2] and bool(calls[-1].arguments.strip("{ }"))


def _row(text: str, form: CallFormat, cut: bool) -> Found:
    """The whole text is calls, after Llama's tag or without."""
    calls: list[Written] = []
    row = text.removeprefix(PYTHON_TAG)
    place = _past_separators(row, 0)
    while place < len(row):
        reading = form.read(row, place)
        if reading is None and cut and calls:
            break  # the next one had hardly begun
        if reading is None or (reading.cut and not cut):
            return text, ()
        calls += reading.calls
        place = _past_separators(row, reading.end)
    return "", tuple(calls)


def _scattered(text: str, form: CallFormat, cut: bool) -> Found:
    """Calls stand wherever their trigger does."""
    rest, done = "", 0
    calls: list[Written] = []
    while (start := text.find(form.trigger, done)) >= 0:
        reading = form.read(text, start)
        rest += text[done:start]
        if reading is None and cut and calls:
            return rest, tuple(calls)  # the next one had hardly begun
        if reading is None or (reading.cut and not cut):
            return text, ()
        calls += reading.calls
        done = reading.end
    return (rest + text[done:]).removeprefix(PYTHON_TAG), tuple(calls)


def _past_separators(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SEPARATORS:
        place += 1
    return place
