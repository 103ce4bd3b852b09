"""Messages on both databases: branches, pages of a long conversation, partial answers."""

from __future__ import annotations

import time

import pytest

from puna.accounts.store import Store
from puna.errors import InvalidParameterError, NotFoundError
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.messages import Messages
from tests.services.assistant.conftest import Clock, person


def test_an_edit_and_a_new_answer_make_branches(store: Store, clock: Clock) -> None:
    ann, messages = person(store, "ann"), Messages(store, clock)
    chat = Conversations(store, clock).create(ann)
    said = messages.say(ann, chat.id, None, "one")
    first = messages.open_answer(ann, chat.id, said.id, model="m")
    messages.finish(ann, first.id, "complete", "first")
    second = messages.open_answer(ann, chat.id, said.id, model="m")
    assert second.siblings == (first.id, second.id)
    messages.finish(ann, second.id, "complete", "second")
    edited = messages.say(ann, chat.id, None, "one, edited")
    assert [entry.text for entry in messages.path(ann, chat.id).entries] == ["one, edited"]
    back = messages.choose_branch(ann, chat.id, said.id)
    assert [entry.text for entry in back.entries] == ["one", "second"]
    assert back.entries[0].siblings == (said.id, edited.id)
    other = messages.choose_branch(ann, chat.id, first.id)
    assert [entry.text for entry in other.entries] == ["one", "first"]
    assert messages.path(ann, chat.id) == other


def test_a_long_conversation_is_read_in_pages_quickly(store: Store) -> None:
    ann, messages = person(store, "ann"), Messages(store)
    chat = Conversations(store).create(ann)
    last = None
    with store.write():  # one transaction, so that the test does not wait for 400 commits
        for n in range(200):
            said = messages.say(ann, chat.id, last, f"question {n}")
            last = messages.open_answer(ann, chat.id, said.id, model="m").id
            messages.finish(ann, last, "complete", f"answer {n}")
    taken_s = []
    for _ in range(3):  # the fastest counts, as the machine has other work
        begun = time.monotonic()
        page = messages.path(ann, chat.id, limit=50)
        taken_s.append(time.monotonic() - begun)
    assert min(taken_s) < 0.5
    assert page.entries[-1].text == "answer 199"
    pages = [page]
    while pages[0].earlier:
        before = pages[0].entries[0].id
        pages.insert(0, messages.path(ann, chat.id, before=before, limit=150))
    seen = [entry for page in pages for entry in page.entries]
    assert [len(page.entries) for page in pages] == [50, 150, 150, 50]
    assert [e.text for e in seen] == [
        f"{w} {n}" for n in range(200) for w in ("question", "answer")
    ]


def test_messages_answer_each_other_within_one_conversation(store: Store) -> None:
    ann, messages = person(store, "ann"), Messages(store)
    here, there = (Conversations(store).create(ann) for _ in range(2))
    said = messages.say(ann, here.id, None, "one")
    with pytest.raises(InvalidParameterError, match="cannot answer"):
        messages.say(ann, here.id, said.id, "two in a row")
    with pytest.raises(NotFoundError):
        messages.open_answer(ann, there.id, said.id, model="m")
    with pytest.raises(NotFoundError):
        messages.path(ann, there.id, leaf_id=said.id)
    with pytest.raises(InvalidParameterError, match="characters"):
        messages.say(ann, here.id, None, "   ")
