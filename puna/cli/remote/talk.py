"""One conversation of a server, as a terminal goes on with it.

In: what a person says.  Out: events of the answer.  The server keeps everything; here is only
which conversation it is, and what is to go along with the next question.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from puna.cli.remote.api import Api
from puna.cli.remote.records import Conversation, File, Json, Message, read
from puna.errors import PunaError

Told = Iterator[Json]


@dataclass
class Talk:
    """`conversation` None: the next question begins one."""

    api: Api
    model: str | None = None  # None: as the conversation has it, or the server's own
    preset: str | None = None
    system: str = ""  # in place of the preset's instructions
    params: dict[str, Any] = field(default_factory=dict)
    conversation: Conversation | None = None
    files: list[File] = field(default_factory=list)
    seen: str | None = None  # the last message that was shown
    turn: str = ""  # that is being answered
    _stopped: bool = False

    def begin_anew(self) -> None:
        """Leave the conversation; it stays on the server."""
        self.conversation = self.seen = None

    def open(self, id_: str) -> tuple[list[Message], str | None]:
        """Go on with another conversation: its messages, and the turn that is under way."""
        self.conversation, messages, running = self.api.conversation(id_)
        self.model = self.preset = None
        self._see(messages)
        return messages, running

    def unseen(self) -> list[Message]:
        """What was said elsewhere since, as on the page."""
        if self.conversation is None:
            return []
        self.conversation, messages, _ = self.api.conversation(self.conversation.id)
        ids = [message.id for message in messages]
        fresh = messages[ids.index(self.seen) + 1 :] if self.seen in ids else messages
        self._see(messages)
        return fresh

    @contextmanager
    def ask(self, text: str | None, *, answer: str | None = None) -> Iterator[Told]:
        """Say something, have the last question answered again, or let a cut answer go on."""
        said = {
            "text": text,
            "answer": answer,
            "conversation": self.conversation.id if self.conversation else None,
            "files": [file.id for file in self.files] if text else [],
            "model": self.model,
            "preset": self.preset,
            "instructions": self.system,
            "parameters": self.params,
        }
        with self._answering(), self.api.turn(said) as (turn, events):
            self.files = [] if text else self.files
            yield self._heard(turn, events)

    @contextmanager
    def follow(self, turn: str) -> Iterator[Told]:
        """Hear an answer that somebody else has asked for."""
        with self._answering(), self.api.follow(turn) as (_, events):
            yield self._heard(turn, events)

    def stop(self) -> None:
        """End the answer that is being given, also one that is only just asked for."""
        self._stopped = True
        with suppress(PunaError):  # a server that is gone has ended it
            if self.turn:
                self.api.stop(self.turn)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """A stop ends this answer alone, also where it was refused before its first word."""
        try:
            yield
        finally:
            self.turn, self._stopped = "", False

    def _heard(self, turn: str, events: Told) -> Told:
        """Note what the events say of the conversation."""
        self.turn = turn
        if self._stopped:
            self.api.stop(turn)
        for event in events:
            self._note(event)
            yield event

    def _note(self, event: Json) -> None:
        match event:
            case {"type": "begin" | "title", "conversation": {"id": str(id_), "title": str(title)}}:
                known = self.conversation
                preset = self.preset or (known.preset if known else None)
                model = self.model or (known.model if known else "")
                self.conversation = Conversation(id_, title, model, preset, "")
            case {"type": "end", "path": [*_, {"id": str(last)}]}:
                self.seen = last

    def _see(self, messages: list[Message]) -> None:
        self.seen = messages[-1].id if messages else None


def last_message(event: Json) -> Message | None:
    """The answer as it is kept, of an `end`."""
    path = event.get("path") or [None]
    return read(Message, path[-1]) if path[-1] is not None else None
