"""What happens while an answer is made, in the order in which a page shows it.

In: nothing.  Out: plain data; `type` names each in JSON.  Knows no transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from puna.services.assistant.citations import Citation
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.entry import Entry


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    type: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """Return plain data; times are ISO texts."""
        return {"type": self.type, **_plain(asdict(self))}


@dataclass(frozen=True)
class Begun(Event):
    """The question is kept and the answer begins."""

    type = "begin"
    conversation: Conversation
    question: Entry
    answer: Entry


@dataclass(frozen=True)
class LeftOut(Event):
    """So many of the oldest questions, with their answers, do not fit into the context."""

    type = "left_out"
    turns: int


@dataclass(frozen=True)
class Said(Event):
    """More of the answer."""

    type = "text"
    text: str


@dataclass(frozen=True)
class CallStarted(Event):
    """The model calls a tool."""

    type = "tool_started"
    id: str
    name: str
    label: str
    arguments: str


@dataclass(frozen=True)
class CallFinished(Event):
    """The tool answered, or failed."""

    type = "tool_finished"
    id: str
    name: str
    label: str
    result: str
    outcome: str
    took_s: float


@dataclass(frozen=True)
class Cited(Event):
    """The answer points to a passage for the first time."""

    type = "source"
    source: Citation


@dataclass(frozen=True)
class Ended(Event):
    """The answer is kept as it stands in `answer`: complete, stopped or broken."""

    type = "end"
    answer: Entry


@dataclass(frozen=True)
class Titled(Event):
    """The conversation has a better title."""

    type = "title"
    conversation: Conversation


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
