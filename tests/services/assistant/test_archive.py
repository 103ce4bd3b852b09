from __future__ import annotations

import json
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.errors import InvalidParameterError, NotFoundError
from puna.services.assistant.archive import FORMAT, Archive, markdown
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.finding import Finding
from puna.services.assistant.messages import Messages
from tests.services.assistant.conftest import Clock, person

SOURCE = {"number": 1, "name": "a.pdf", "where": "page 2", "quote": "It is\nso."}


def test_a_whole_tree_goes_out_and_comes_back(store: Store, clock: Clock) -> None:
    ann, bob = person(store, "ann"), person(store, "bob")
    messages, archive = Messages(store, clock), Archive(store, clock)
    chat = Conversations(store, clock).create(ann)
    said = messages.say(ann, chat.id, None, "Why?")
    first = messages.open_answer(ann, chat.id, said.id, model="m")
    messages.finish(ann, first.id, "stopped", "Because", count={"decode_s": 1.5})
    second = messages.open_answer(ann, chat.id, said.id, model="m")
    messages.finish(ann, second.id, "complete", "It is so [1].", sources=[SOURCE])
    document = json.loads(json.dumps(archive.json(ann, chat.id)))
    with pytest.raises(NotFoundError):
        archive.json(bob, chat.id)
    brought = archive.bring(bob, document)
    again = archive.json(bob, brought.id)

    def same(document: dict[str, Any]) -> Any:
        return [
            document["title"],
            [
                {k: v for k, v in m.items() if k not in ("id", "parent")}
                for m in document["messages"]
            ],
        ]

    assert same(again) == same(document)
    path = messages.path(bob, brought.id)
    assert [entry.text for entry in path.entries] == ["Why?", "It is so [1]."]
    assert len(path.entries[1].siblings) == 2
    assert [hit.conversation.id for hit in Finding(store).find(bob, "because")] == [brought.id]
    assert archive.every_json(bob) == [again]
    assert markdown(brought, path) == (
        "# Why?\n\n## You\n\nWhy?\n\n## Puna\n\nIt is so [1].\n\n[1] a.pdf, page 2: “It is so.”\n"
    )


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
    brought = Archive(lite).bring(
        ann,
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello there"},
            {"role": "assistant", "content": "Hi"},
        ],
    )
    assert brought.title == "Hello there"
    assert [e.text for e in Messages(lite).path(ann, brought.id).entries] == ["Hello there", "Hi"]


def message(name: str, parent: str | None, role: str) -> dict[str, Any]:
    return {"id": name, "parent": parent, "role": role, "text": "x"}


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        {"format": "other", "messages": [message("a", None, "user")]},
        {"format": FORMAT, "messages": []},
        {"format": FORMAT, "messages": [message("a", "b", "user"), message("b", "a", "assistant")]},
        {"format": FORMAT, "messages": [message("a", None, "user"), message("a", None, "user")]},
        {"format": FORMAT, "messages": [message("a", None, "user"), message("b", "a", "user")]},
        {"format": FORMAT, "messages": [{**message("a", None, "user"), "html": "<b>"}]},
        [{"role": "user", "content": None}],
    ],
)
def test_a_document_that_is_none_is_refused_and_leaves_nothing(lite: Store, document: Any) -> None:
    ann = person(lite, "ann")
    with pytest.raises(InvalidParameterError, match="cannot be brought in"):
        Archive(lite).bring(ann, document)
    assert Conversations(lite).list(ann) == []


def test_more_messages_than_one_conversation_has_are_refused_unread(lite: Store) -> None:
    with pytest.raises(InvalidParameterError, match="20001 messages"):
        Archive(lite).check([{}] * 20_001)
