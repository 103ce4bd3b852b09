"""Which commands a chat carries out, which it says to the server, and what a stop ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from puna.cli.remote.api import Api
from puna.cli.remote.records import Json
from puna.cli.remote.slash import COMMANDS, SAID
from puna.cli.remote.talk import Talk
from puna.errors import ConflictError
from puna.services.assistant.commands import command_in

TEXT = {"type": "text", "text": "Hi"}


class Refusing(Api):
    """A server that refuses the first question, stopped by then, and answers the next."""

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.stop_first: Callable[[], None] | None = None

    @contextmanager
    def turn(self, said: dict[str, Any]) -> Iterator[tuple[str, Iterator[Json]]]:
        if said["text"] == "first" and self.stop_first is not None:
            self.stop_first()
            raise ConflictError("an answer is being given in this conversation")
        yield "turn_2", iter([TEXT])

    def stop(self, turn: str) -> None:
        self.stopped.append(turn)


def test_what_is_said_to_the_server_is_a_command_there() -> None:
    assert SAID.keys().isdisjoint(COMMANDS)
    for told in SAID.values():
        for example in told.partition(": ")[2].split(", "):
            assert command_in(example), example


def test_a_stop_ends_one_answer_and_not_the_one_after_a_refusal() -> None:
    api = Refusing()
    talk = Talk(api)
    api.stop_first = talk.stop
    with pytest.raises(ConflictError), talk.ask("first"):
        raise AssertionError("it was refused")
    with talk.ask("second") as events:
        assert list(events) == [TEXT]
    assert not api.stopped
