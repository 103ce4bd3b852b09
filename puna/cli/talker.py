"""What `puna chat` talks with: a model of this program, or a server.

In: nothing.  Out: the protocol that both keep, and what a person wishes of the talk.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Wishes:
    """What was said on the command line; `params` are those of sampling that were given."""

    model: str | None = None
    system: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    goes_on: bool = False  # with the last conversation


class Talker(Protocol):
    """Whoever answers."""

    name: str  # one sentence
    commands: Collection[str]

    def begin(self) -> None:
        """Show what the talk goes on from."""
        ...

    def answer(self, question: str) -> None:
        """Answer a person at the terminal."""
        ...

    def answer_once(self, question: str) -> None:
        """Answer the only question; raises typer.Exit where the answer did not end well."""
        ...

    def obey(self, line: str) -> bool:
        """Do what a command says; False means that the person leaves."""
        ...

    def close(self) -> None:
        """Let go of memory and connections."""
        ...
