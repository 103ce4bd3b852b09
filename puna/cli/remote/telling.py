"""An answer and what happens around it, on a terminal.

In: events of a turn, or messages that were kept.  Out: the answer on stdout; tools, sources and
whatever else on stderr.  Asks no server.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from threading import Thread
from types import FrameType
from typing import Any

from puna.cli.answer import REPEATED, Page
from puna.cli.plain import line
from puna.cli.remote.records import Json, Left, Message, read
from puna.cli.remote.talk import last_message
from puna.cli.remote.waiting import READING, Waiting
from puna.errors import RemoteError

DIM, ASKED, PLAIN = "2", "1;36", "0"
SILENT = ("loading", "begin", "title")  # events that are not yet the answer
CUT = "stopped after {} tokens; /continue goes on, --max-tokens sets how many"
SCARCE = 0.1  # of the plan: from here on it is said


def tell(events: Iterable[Json]) -> Message | None:
    """Show a turn; returns the answer as it is kept, None where nothing was."""
    telling = _Telling()
    try:
        for event in events:
            telling.take(event)
    finally:
        telling.end()
    return telling.kept


def show(messages: Sequence[Message]) -> None:
    """Show what was said before, as it looked then."""
    for message in messages:
        if message.role == "user":
            note(f"> {message.text}", ASKED)
            note("".join(f"  with {line(str(one.get('name')))}\n" for one in message.files), end="")
        else:
            for tool in message.tools:
                note(_use(tool))
            page = Page()
            page.write(message.text)
            page.end()
            _close(message)


def note(text: str, style: str = DIM, *, end: str = "\n") -> None:
    """Say something beside the answer."""
    if text and sys.stderr.isatty():
        text = f"\x1b[{style}m{text}\x1b[{PLAIN}m"
    print(text, end=end if text else "", file=sys.stderr, flush=True)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C asks the answer to end and hears its last words; a second one leaves."""

    def pressed(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        Thread(target=stop, daemon=True).start()

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Telling:
    """One turn as it comes."""

    def __init__(self) -> None:
        self.kept: Message | None = None
        self._page = Page()
        self._waiting = Waiting()

    def take(self, event: Json) -> None:
        if event.get("type") not in SILENT:
            self._waiting.end()
        match event:
            case {"type": "loading"}:
                self._waiting.say(_loading(event))
            case {"type": "begin"}:
                self._waiting.say(READING)
            case {"type": "text", "text": str(text)}:
                self._page.write(text)
            case {"type": "tool", "tool": {"done": bool(done)} as tool}:
                self._tell_call(tool, done)
            case {"type": "left_out"}:
                self._note("the oldest messages do not fit into the context any more")
            case {"type": "end"}:
                self.kept = last_message(event)
            case {"type": "error", "error": {"message": str(message)}}:
                raise RemoteError(message)
            case {"type": "left", "left": left}:
                self._warn(read(Left, left))

    def end(self) -> None:
        self._waiting.end()
        self._page.end()
        if self.kept is not None:
            _close(self.kept)

    def _tell_call(self, tool: Json, done: bool) -> None:
        """The result stands on the line that its call began."""
        if not done:
            self._note(_call(tool), end="")
        else:
            note(_result(tool))

    def _warn(self, left: Left) -> None:
        if left.share is not None and left.share < SCARCE:
            self._note(meter(left))

    def _note(self, text: str, *, end: str = "\n") -> None:
        self._page.end()
        note(text, end=end)


def meter(left: Left) -> str:
    """What is left of the plan."""
    return f"{left.words}, {left.resets}" if left.resets else left.words


def _close(message: Message) -> None:
    """Say what an answer points to, and how it ended."""
    for source in message.sources:
        note(_source(source))
    match message.outcome:
        case "stopped":
            note("stopped", PLAIN)
        case "length":
            note(_why(message) or CUT.format(message.tokens), PLAIN)
        case "repeated":
            note(f"{REPEATED}; /continue goes on", PLAIN)
        case "broken":
            note(f"puna: error: {_why(message) or 'it broke off'}", PLAIN)


def _why(message: Message) -> str:
    """Why an answer is not whole, as the server says it."""
    return line(str((message.error or {}).get("message") or ""), 500)


def _source(source: Json) -> str:
    where = ", ".join(line(str(source[key])) for key in ("name", "where") if source.get(key))
    quote = line(
        str(source.get("quote") or ""), max(40, get_terminal_size().columns - len(where) - 10)
    )
    mark = f"[{source.get('number')}]" if source.get("cited", True) else "read:"
    return f"{mark} {where}: “{quote}”"


def _use(tool: Json) -> str:
    return _call(tool) + _result(tool)


def _loading(event: Json) -> str:
    share = event.get("share")
    part = f", {share:.0%}" if isinstance(share, int | float) and share else ""
    return f"Loading {line(str(event.get('model')))}{part}"


def _result(tool: Json) -> str:
    return f" → {line(str(tool.get('result')))}"


def _call(tool: Json) -> str:
    return f"  {line(str(tool.get('label')))}({_arguments(tool.get('arguments'))})"


def _arguments(text: Any) -> str:
    """A call's JSON as a person reads it: the values alone where there is one."""
    try:
        given = json.loads(str(text))
    except ValueError:
        return line(str(text))
    if not isinstance(given, dict):
        return line(str(text))
    if len(given) == 1:
        return line(str(next(iter(given.values()))))
    return line(", ".join(f"{name}: {value}" for name, value in given.items()))
