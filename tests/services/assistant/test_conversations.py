"""Conversations on both databases: listed, titled, isolated, deleted so that no byte is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from puna.accounts.store import Store
from puna.errors import InvalidParameterError, NotFoundError
from puna.services.assistant.conversations import Conversations, opening_title
from puna.services.assistant.files import Files
from puna.services.assistant.finding import Finding
from puna.services.assistant.messages import Messages
from tests.services.assistant.conftest import Clock, person


def test_the_latest_stands_first_and_pages_follow_each_other(store: Store, clock: Clock) -> None:
    ann = person(store, "ann")
    conversations = Conversations(store, clock)
    made = [conversations.create(ann, title=f"no {n}") for n in range(7)]
    Messages(store, clock).say(ann, made[2].id, None, "hello")
    first = conversations.list(ann, limit=4)
    rest = conversations.list(ann, after=first[-1], limit=4)
    assert [c.title for c in [*first, *rest]] == [f"no {n}" for n in (2, 6, 5, 4, 3, 1, 0)]


def test_the_first_message_gives_the_title_until_a_person_does(store: Store, clock: Clock) -> None:
    ann = person(store, "ann")
    conversations, messages = Conversations(store, clock), Messages(store, clock)
    made = conversations.create(ann)
    said = messages.say(ann, made.id, None, "## How do I\tboil an egg?\nSoft, please.")
    assert conversations.get(ann, made.id).title == "How do I boil an egg?"
    assert conversations.improve_title(ann, made.id, "Boiling eggs").title == "Boiling eggs"
    assert conversations.rename(ann, made.id, " Breakfast ").title == "Breakfast"
    assert conversations.improve_title(ann, made.id, "Eggs").title == "Breakfast"
    answer = messages.open_answer(ann, made.id, said.id, model="m")
    messages.say(ann, made.id, answer.id, "And tea?")
    assert conversations.get(ann, made.id).title == "Breakfast"
    with pytest.raises(InvalidParameterError):
        conversations.rename(ann, made.id, "  ")


def test_a_long_opening_is_cut_behind_a_word() -> None:
    title = opening_title("supercalifragilistic " * 10)
    assert title == "supercalifragilistic supercalifragilistic…"


def test_another_persons_conversation_does_not_exist(store: Store) -> None:
    ann, bob = person(store, "ann"), person(store, "bob")
    conversations, messages = Conversations(store), Messages(store)
    made = conversations.create(ann, title="secret")
    said = messages.say(ann, made.id, None, "the treasure is under the oak")
    for attempt in (
        lambda: conversations.get(bob, made.id),
        lambda: conversations.rename(bob, made.id, "mine"),
        lambda: conversations.choose(bob, made.id, model="m", preset_id=None),
        lambda: conversations.delete(bob, made.id),
        lambda: messages.path(bob, made.id),
        lambda: messages.get(bob, said.id),
        lambda: messages.say(bob, made.id, said.id, "hi"),
        lambda: messages.open_answer(bob, made.id, said.id, model="m"),
        lambda: messages.save(bob, said.id, "x", ()),
        lambda: messages.finish(bob, said.id, "complete", "x"),
        lambda: messages.choose_branch(bob, made.id, said.id),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    conversations.delete_all(bob)
    assert conversations.list(bob) == []
    assert Finding(store).find(bob, "treasure") == []
    assert messages.get(ann, said.id).text == "the treasure is under the oak"


TABLES = (
    "assistant_conversations", "assistant_messages", "assistant_message_words",
    "assistant_files", "assistant_passages", "assistant_passage_words",
)  # fmt: skip


@pytest.mark.parametrize("all_at_once", [False, True])
def test_deleting_takes_messages_files_and_words_along(store: Store, all_at_once: bool) -> None:
    ann = person(store, "ann")
    conversations = Conversations(store)
    made = conversations.create(ann, title="secret")
    Messages(store).say(ann, made.id, None, "a rhinoceros walked in")
    Files(store).add(ann, "zoo.txt", b"the hippopotamus left", conversation_id=made.id)
    if all_at_once:
        conversations.delete_all(ann)
    else:
        conversations.delete(ann, made.id)
    with store.read() as session:
        counts = {t: session.scalar(text(f"SELECT count(*) FROM {t}")) for t in TABLES}
    assert counts == dict.fromkeys(TABLES, 0)


def test_no_byte_of_a_deleted_conversation_stays_in_the_file(lite: Store, tmp_path: Path) -> None:
    ann = person(lite, "ann")
    conversations = Conversations(lite)
    kept = conversations.create(ann)
    Messages(lite).say(ann, kept.id, None, "okapi")
    gone = conversations.create(ann)
    Messages(lite).say(ann, gone.id, None, "the rhinoceros " * 2000)
    Files(lite).add(ann, "zoo.txt", b"a hippopotamus\n" * 2000, conversation_id=gone.id)
    assert b"rhinoceros" in (tmp_path / "puna.db").read_bytes()
    conversations.delete(ann, gone.id)
    lite.close()
    left = b"".join(path.read_bytes() for path in tmp_path.glob("puna.db*"))
    assert b"rhinoceros" not in left
    assert b"hippopotamus" not in left
    assert b"okapi" in left
