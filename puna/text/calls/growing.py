"""Calls as they are written: piece by piece, and in the end whole.

In: an answer's text from its first call on, longer each time.  Out: what that adds to the calls;
the pieces together are the calls.  Knows no tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from puna.chat import CallPiece, ToolCall
from puna.text.calls.format import PYTHON_TAG, Written
from puna.text.calls.reading import distinct, written_calls
from puna.text.calls.style import CallStyle

LOOKS = 128  # in all while a text doubles: each look reads it from its beginning


class GrowingCalls:
    """One choice's calls; `names` are the tools that may be called."""

    def __init__(self, style: CallStyle, names: Sequence[str]) -> None:
        self._style, self._names = style, tuple(names)
        formats = tuple(one for one in style.formats if one.trigger != PYTHON_TAG)
        self._growing = replace(style, formats=formats)  # after the tag anything may be code
        self._looked_at = 0
        self._calls: list[ToolCall] = []

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls as far as they were told."""
        return tuple(self._calls)

    def pieces(self, text: str) -> tuple[CallPiece, ...]:
        """Return what has become certain since the last time."""
        if len(text) - self._looked_at <= len(text) // LOOKS:
            return ()
        self._looked_at = len(text)
        found = distinct(written_calls(text, self._growing, self._names, cut=True)[1])
        return tuple(self._told(found[:-1] if _is_uncertain(found) else found))

    def end(self, text: str, *, cut: bool) -> tuple[str, tuple[CallPiece, ...]]:
        """Return what is text after all, and the last pieces; half a call is never text.

        With `cut` the last call need not be complete.
        """
        rest, found = written_calls(text, self._style, self._names, cut=cut)
        pieces = tuple(self._told(distinct(found)))
        if found:
            return rest.strip(), pieces
        return ("" if cut or self._calls else rest), pieces

    def _told(self, calls: Sequence[Written]) -> Iterator[CallPiece]:
        for index, call in enumerate(calls):
            if index == len(self._calls):
                self._calls.append(ToolCall.new(call.name, "", complete=False))
                yield CallPiece(index, id=self._calls[index].id, name=call.name)
            told = self._calls[index]
            if more := call.arguments[len(told.arguments) :]:
                yield CallPiece(index, more)
            self._calls[index] = replace(told, arguments=call.arguments, complete=call.complete)


def _is_uncertain(calls: Sequence[Written]) -> bool:
    """Whether the last call has no arguments yet, or none that the one before it lacks."""
    if not calls or calls[-1].complete:
        return False
    name, begun = calls[-1].name, calls[-1].arguments
    before = calls[-2] if len(calls) > 1 else None
    repeating = before is not None and before.name == name and before.arguments.startswith(begun)
    return repeating or not begun.startswith("{")
