"""Conversations go out whole and come back whole, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.errors import NotFoundError, RoomError
from puna.services.assistant.archive import Archive, markdown
from puna.services.assistant.conversations import Conversations, TalkLimits
from puna.services.assistant.finding import Finding
from puna.services.assistant.messages import Messages
from puna.services.assistant.saved import conversations_in
from tests.services.assistant.conftest import Clock, brought, person

SOURCE = {"number": 1, "name": "a.pdf", "where": "page 2", "quote": "It is\nso."}
CALL = {
    "id": "call_1",
    "name": "calculator",
    "label": "Calculator",
    "arguments": "{}",
    "result": "4",
    "outcome": "done",
    "took_s": 0.25,
}


def test_a_whole_tree_goes_out_and_comes_back(store: Store, clock: Clock) -> None:
    ann, bob = person(store, "ann"), person(store, "bob")
    messages, archive = Messages(store, clock), Archive(store, clock)
    chat = Conversations(store, clock).create(ann)
    said = messages.say(ann, chat.id, None, "Why?")
    first = messages.open_answer(ann, chat.id, said.id, model="m")
    count = {"decode_s": 1.5, "completion_tokens": 7}
    messages.finish(ann, first.id, "stopped", "Because", count=count)
    second = messages.open_answer(ann, chat.id, said.id, model="m")
    steps: list[dict[str, Any]] = [
        {"text": "Wait.", "calls": [CALL]},
        {"text": "It is so [1].", "calls": []},
    ]
    messages.finish(ann, second.id, "complete", "It is so [1].", steps=steps, sources=[SOURCE])
    document = json.dumps(archive.json(ann, chat.id))
    with pytest.raises(NotFoundError):
        archive.json(bob, chat.id)
    (talk,) = archive.bring(bob, conversations_in(document.encode()))
    again = archive.json(bob, talk.id)
    assert told(again) == told(json.loads(document))
    path = messages.path(bob, talk.id)
    assert [entry.text for entry in path.entries] == ["Why?", "It is so [1]."]
    assert len(path.entries[1].siblings) == 2
    assert path.entries[1].steps[0]["calls"] == [CALL]
    assert path.entries[1].created_at == messages.path(ann, chat.id).entries[1].created_at
    assert [hit.conversation.id for hit in Finding(store).find(bob, "because")] == [talk.id]
    assert archive.every_json(bob) == [again]
    assert markdown(talk, path) == (
        "# Why?\n\n## You\n\nWhy?\n\n## Puna\n\nIt is so [1].\n\n[1] a.pdf, page 2: “It is so.”\n"
    )


def told(document: dict[str, Any]) -> Any:
    """The same without ids, which are others in each place."""
    kept = [
        {k: v for k, v in message.items() if k not in ("id", "parent")}
        for message in document["messages"]
    ]
    return document["title"], document["created_at"], kept


def test_what_was_read_stands_below_an_answer_that_cites_nothing(lite: Store) -> None:
    ann, messages = person(lite, "ann"), Messages(lite)
    chat = Conversations(lite).create(ann)
    said = messages.say(ann, chat.id, None, "Why?")
    answer = messages.open_answer(ann, chat.id, said.id, model="m")
    messages.finish(ann, answer.id, "complete", "So.", sources=[{**SOURCE, "cited": False}])
    text = markdown(chat, messages.path(ann, chat.id))
    assert text.endswith("So.\n\nRead: a.pdf, page 2\n")


def test_plain_messages_are_brought_in(lite: Store) -> None:
    ann = person(lite, "ann")
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": "Hi"},
    ]
    talk = brought(lite, ann, messages)
    assert talk.title == "Hello there"
    assert [e.text for e in Messages(lite).path(ann, talk.id).entries] == ["Hello there", "Hi"]


def test_times_that_no_computer_knows_are_brought_near(store: Store) -> None:
    ann = person(store, "ann")
    times = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-03T04:05:06"]
    for time in times:
        said = {"id": "a", "role": "user", "text": "x", "created_at": time}
        talk = brought(store, ann, {"format": "puna.conversation/1", "messages": [said]})
        kept = Messages(store).path(ann, talk.id).entries[0].created_at
        assert datetime(1970, 1, 1, tzinfo=UTC) <= kept <= datetime.now(UTC)
    assert kept == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_one_that_is_too_much_leaves_none_of_the_others(store: Store) -> None:
    ann = person(store, "ann")
    talks = conversations_in(
        json.dumps(
            [
                {"format": "puna.conversation/2", "messages": [message("a", text)]}
                for text in ("short", "short, too", "long " * 100)
            ]
        ).encode()
    )
    for limits in (TalkLimits(n_bytes=400), TalkLimits(conversations=2)):
        with pytest.raises(RoomError, match="export what is to stay"):
            Archive(store, limits=limits).bring(ann, talks)
        assert Conversations(store).list(ann) == []
        assert Finding(store).find(ann, "short") == []
    assert len(Archive(store).bring(ann, talks)) == 3


def message(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "role": "user", "text": text}


def test_what_is_brought_counts_as_what_is_said(store: Store) -> None:
    ann = person(store, "ann")
    limits = TalkLimits(n_bytes=1_000)
    for text in ("a" * 400, "b" * 400):
        said = json.dumps([{"role": "user", "content": text}]).encode()
        Archive(store, limits=limits).bring(ann, conversations_in(said))
    with pytest.raises(RoomError):
        Messages(store, limits=limits).say(
            ann, Conversations(store).list(ann)[0].id, None, "c" * 400
        )
