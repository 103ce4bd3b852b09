"""What a way of writing tool calls can say of itself: how calls begin, how they read, their rules.

In: nothing.  Out: the class CallFormat and the words that its formats share.
Knows no format and calls nothing.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PYTHON_TAG = "<|python_tag|>"
MOST_CALLS = 16  # in one answer
SPACE = "[ \\n]{0,4}"  # endless space is how small models get lost

_JSON = json.JSONDecoder()
_SPECIAL = frozenset("\\.+*?()|[]{}^$/")


@dataclass(frozen=True)
class Signature:
    """A tool as a grammar sees it: its name, and the schema that its arguments must keep to.

    `arguments` is the name of the Lark rule for them, which all formats share.
    """

    name: str
    schema: Mapping[str, Any]
    arguments: str


@dataclass(frozen=True)
class Written:
    """A call as it stands in a text; `arguments` is JSON text, cut off where the answer was."""

    name: str
    arguments: str
    complete: bool = True


@dataclass(frozen=True)
class Reading:
    """The calls that begin at a place in a text, and where the text goes on after them.

    `cut`: the text ends before they do.
    """

    calls: tuple[Written, ...]
    end: int
    cut: bool = False


class CallFormat(ABC):
    """One way of writing calls.

    With a `trigger`, calls may stand anywhere and each begins with it; without
    one, a row of calls is the whole answer.
    """

    name: str  # a word for its rules in a grammar
    trigger: str = ""

    def openings(self, names: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """Return how a row of calls may begin, all space left out."""
        return ()

    def opening_regex(self, names: Sequence[str]) -> str:  # noqa: ARG002
        """Return the same as a regex for a grammar, which lets space in."""
        return ""

    @abstractmethod
    def read(self, text: str, place: int) -> Reading | None:
        """Read what begins at `place`; the last call may be cut off by the text's end."""

    def can_write(self, tool: Signature) -> bool:  # noqa: ARG002
        """Tell whether a call of the tool can be written so."""
        return True

    @abstractmethod
    def rules(self, tools: Sequence[Signature], most: int) -> str:
        """Return Lark for `<name>_calls`, after the trigger if there is one: up to `most`."""

    def start(self, tools: Sequence[Signature], most: int) -> str:
        """Return Lark for `start`: calls and nothing else."""
        return f"start: {self._begun}\n{self.rules(tools, most)}"

    def start_beside(self, reply: str, tools: Sequence[Signature], most: int) -> str:
        """Return Lark for `start`: calls, or else `reply`, a JSON document."""
        return f"start: {self._begun} | {reply}\n{self.rules(tools, most)}"

    @property
    def _begun(self) -> str:
        calls = f"{self.name}_calls"
        return f"{literal(self.trigger)} {calls}" if self.trigger else calls


def object_at(text: str, place: int) -> tuple[dict[str, Any], int] | None:
    """Return the JSON object that starts there after space, and where it ends."""
    while place < len(text) and text[place].isspace():
        place += 1
    try:
        value, end = _JSON.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None
    return (value, end) if isinstance(value, dict) else None


def object_text(text: str, place: int) -> tuple[str, int] | None:
    """Return the JSON object that starts there after space as it is written, and its end."""
    read = object_at(text, place)
    return (text[place : read[1]].lstrip(), read[1]) if read else None


def written(name: str, arguments: Mapping[str, Any]) -> Written:
    """Return a whole call."""
    return Written(name, json.dumps(arguments, ensure_ascii=False))


def literal(text: str) -> str:
    """Return plain text as Lark quotes it."""
    return json.dumps(text)


def pattern(text: str) -> str:
    """Return plain text as a part of a Lark regex, which is between slashes."""
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in text)


def any_of(names: Sequence[str]) -> str:
    """Return a regex for one of the names."""
    return f"({'|'.join(map(pattern, names))})"


def one_of(rule: str, tools: Sequence[object]) -> str:
    """Return Lark for one of the rules `<rule>_0`, `<rule>_1`, …: each tool has its own."""
    return " | ".join(f"{rule}_{at}" for at in range(len(tools)))


def row_of(call: str, between: str, most: int, first: str = "") -> str:
    """Return a Lark sequence of up to `most` calls; the `first` may differ from the others."""
    return f"{first or call} ({between} {call}){{0,{most - 1}}}" if most > 1 else first or call


def embedded(schema: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return a schema as Lark embeds it."""
    return f"%json {json.dumps({**schema, 'x-guidance': options})}"
