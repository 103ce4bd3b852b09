"""Text as every database keeps it."""

from __future__ import annotations

import pytest

from puna.accounts.store import Store
from puna.errors import NotFoundError
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.files import Files
from puna.services.assistant.memory import Memory
from puna.services.assistant.messages import Messages
from puna.services.assistant.presets import Presets
from puna.services.assistant.text import writable
from tests.services.assistant.conftest import person

ODD = "a\0b\ud800c\udfffd"


def test_zero_bytes_and_halves_of_characters_go() -> None:
    assert writable(ODD) == "abcd"
    assert writable("ab\U0001f999\x01") == "ab\U0001f999\x01"


def test_whatever_is_said_can_be_kept(store: Store) -> None:
    ann = person(store, "ann")
    messages = Messages(store)
    chat = Conversations(store).create(ann, title=ODD)
    said = messages.say(ann, chat.id, None, ODD)
    answer = messages.open_answer(ann, chat.id, said.id, model="m")
    steps = [{"text": ODD, "calls": [{"id": "c", "name": "n", "result": ODD}]}]
    messages.save(ann, answer.id, ODD, steps)
    messages.finish(ann, answer.id, "broken", ODD, steps=steps, error=ODD)
    kept = messages.path(ann, chat.id).entries
    assert [entry.text for entry in kept] == ["abcd", "abcd"]
    assert kept[1].error == "abcd"
    assert Conversations(store).list(ann)[0].title == "abcd"
    assert Memory(store).add(ann, ODD).text == "abcd"
    assert Presets(store).create(ann, f"n{ODD}", ODD).instructions
    data = b"x" * 9000 + b"\0 rhinoceros"
    assert Files(store).add(ann, f"{ODD}.txt", data).name == "abcd.txt"
    assert len(Files(store).search(ann, "rhinoceros")) == 1


def test_an_id_that_cannot_be_written_is_nobodys(store: Store) -> None:
    ann = person(store, "ann")
    messages = Messages(store)
    chat = Conversations(store).create(ann)
    for attempt in (
        lambda: Conversations(store).get(ann, ODD),
        lambda: messages.get(ann, ODD),
        lambda: messages.say(ann, chat.id, ODD, "x"),
        lambda: Files(store).get(ann, ODD),
        lambda: Presets(store).get(ann, ODD),
        lambda: Memory(store).confirm(ann, ODD),
    ):
        with pytest.raises(NotFoundError):
            attempt()
