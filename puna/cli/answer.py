"""Showing an answer while it is made.

In: the deltas of one choice.  Out: their text on stdout at once, and the whole
reply.  Does not know where the deltas come from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from shutil import get_terminal_size

import typer

from puna.chat import Answer, Delta, FinishReason, Reply, Timings, ToolCall, Usage
from puna.cli.plain import plain

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
REPEATED = "ended, for it went on saying the same"


def show(deltas: Iterator[Delta]) -> Reply:
    """Write the answer to stdout as it comes, ending with a newline; return it whole."""
    return gather(_written(deltas))


def gather(deltas: Iterator[Delta]) -> Reply:
    """Join the deltas of one choice; Ctrl-C ends them, as "cancelled" with what is there."""
    text: list[str] = []
    calls: list[ToolCall] = []
    finish: FinishReason = "cancelled"
    usage, timings = Usage(), Timings()
    try:
        for delta in deltas:
            text.append(delta.text)
            calls += delta.tool_calls
            finish = delta.finish_reason or finish
            usage, timings = delta.usage or usage, delta.timings or timings
    except KeyboardInterrupt:
        pass
    answer = Answer("".join(text), finish, tool_calls=tuple(calls))
    return Reply((answer,), usage, timings)


def _written(deltas: Iterator[Delta]) -> Iterator[Delta]:
    page = Page()
    try:
        for delta in deltas:
            page.write(delta.text)
            yield delta
    finally:
        page.end()


class Page:
    """Stdout, with lines broken between words where it is a terminal."""

    def __init__(self) -> None:
        self._wrap = None
        self._last = "\n"
        if sys.stdout.isatty():
            from puna.cli.wrap import WordWrap

            self._wrap = WordWrap(get_terminal_size().columns)

    def write(self, text: str) -> None:
        """Show more of the answer; to a terminal without what could command it."""
        self._show(self._wrap.push(plain(text)) if self._wrap else text)

    def end(self) -> None:
        """Show what is held back, and begin a new line."""
        if self._wrap:
            self._show(self._wrap.flush())
        if self._last != "\n":
            self._show("\n")

    def _show(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        self._last = text[-1:] or self._last


def note_unfinished(reply: Reply) -> None:
    """Say on stderr why an answer ends before its end."""
    match reply.choices[0].finish_reason:
        case "length":
            made = reply.usage.completion_tokens
            print(f"puna: stopped after {made} tokens; --max-tokens sets how many", file=sys.stderr)
        case "repetition":
            print(f"puna: {REPEATED}", file=sys.stderr)
        case "cancelled":
            print("puna: stopped", file=sys.stderr)


def leave(reply: Reply) -> None:
    """End the program as the answer ended: with 130 if Ctrl-C stopped it."""
    if reply.choices[0].finish_reason == "cancelled":
        raise typer.Exit(INTERRUPTED)
    note_unfinished(reply)
