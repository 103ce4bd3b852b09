"""Answers that are being given, each a task of its own: whoever reloads the page hears the rest.

Takes events from the assistant's loop, gives lines of JSON to any number of
listeners.  Knows no database and no model.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from puna.server.record import Record

Event = Mapping[str, Any]


class Turn:
    """One answer: what was told so far, and whether it is over."""

    def __init__(self, user_id: str, conversation_id: str | None) -> None:
        self.id = secrets.token_urlsafe(12)
        self.user_id = user_id
        self.conversation_id = conversation_id
        self.asked = False  # whether a model was asked, and the question kept for it
        self._lines = Record[bytes]()
        self._task: asyncio.Task[None] | None = None

    def start(self, events: AsyncIterator[Event]) -> None:
        """Run until the events end, whoever listens."""
        self._task = asyncio.create_task(self._run(events), name=f"turn {self.id}")

    def follow(self) -> AsyncIterator[bytes]:
        """Yield every line from the first one on, waiting for those to come."""
        return self._lines.follow()

    async def stop(self) -> None:
        """End the answer here; what was said is kept by the assistant."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                self._lines.add(json.dumps(event, ensure_ascii=False).encode() + b"\n")
        finally:
            self._lines.end()


class Turns:
    """The answers that are being given now, at most one in each conversation."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    def open(self, user_id: str, conversation_id: str | None) -> Turn:
        """Make room for an answer, in a new conversation or one where none is being given.

        Raises ValueError where one is.
        """
        if conversation_id is not None and self.running(user_id, conversation_id):
            raise ValueError(conversation_id)
        turn = Turn(user_id, conversation_id)
        self._turns[turn.id] = turn
        return turn

    def start(self, turn: Turn, events: AsyncGenerator[Event, None]) -> None:
        """Let the answer begin; it is forgotten when it is over."""
        turn.start(self._forgetting(turn, events))

    def find(self, user_id: str, turn_id: str) -> Turn | None:
        """A running answer of this person."""
        turn = self._turns.get(turn_id)
        return turn if turn is not None and turn.user_id == user_id else None

    def running(self, user_id: str, conversation_id: str) -> Turn | None:
        """The answer that is being given in a conversation."""
        mine = (turn for turn in self._turns.values() if turn.user_id == user_id)
        return next((turn for turn in mine if turn.conversation_id == conversation_id), None)

    async def _forgetting(
        self, turn: Turn, events: AsyncGenerator[Event, None]
    ) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(events) as told:
                async for event in told:
                    yield event
        finally:
            self._turns.pop(turn.id, None)
