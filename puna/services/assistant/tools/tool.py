"""What a tool is: a definition for the model, a label for the person, and the call.

In: nothing.  Out: a protocol, and what a call knows of who asks.  Knows no tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from puna.chat import Tool as Definition
from puna.errors import ToolError
from puna.services.assistant.citations import Sources
from puna.services.assistant.owner import Owner


@dataclass(frozen=True)
class Asking:
    """For whom a tool works: never told by the model."""

    owner: Owner
    message_id: str
    sources: Sources


class Tool(Protocol):
    """Something that the model may call."""

    @property
    def definition(self) -> Definition:
        """What the model reads."""
        ...

    @property
    def label(self) -> str:
        """What the person reads."""
        ...

    async def call(self, asking: Asking, arguments: Mapping[str, Any], /) -> str:
        """Return text for the model; ToolError says what to do otherwise."""
        ...


def text_argument(arguments: Mapping[str, Any], name: str, *, longest: int = 2_000) -> str:
    """Return an argument that must be text."""
    value = arguments.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= longest:
        raise ToolError(f"{name!r} must be text of 1 to {longest} characters")
    return value.strip()
