"""What one person may keep: a bound is met with a word that says what to do, and never half."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text, update

from puna.accounts.migrations.versions.v0008_sizes import SIZES
from puna.accounts.store import Store
from puna.errors import InvalidParameterError, RoomError
from puna.services.assistant.conversations import ConversationRow, Conversations, TalkLimits
from puna.services.assistant.entry import MessageRow
from puna.services.assistant.messages import Messages
from puna.services.assistant.owner import Owner
from puna.services.assistant.presets import Presets
from tests.services.assistant.conftest import person


def counted(store: Store) -> list[int]:
    with store.read() as session:
        return list(session.scalars(select(ConversationRow.n_bytes)))


def test_a_person_may_keep_so_many_conversations(store: Store) -> None:
    ann, bob = person(store, "ann"), person(store, "bob")
    conversations = Conversations(store, limits=TalkLimits(conversations=2))
    first = conversations.create(ann)
    conversations.create(ann)
    with pytest.raises(RoomError, match="may keep 2"):
        conversations.create(ann)
    conversations.create(bob)
    conversations.delete(ann, first.id)
    conversations.create(ann)
    assert len(conversations.list(ann)) == 2


def test_a_person_may_say_so_much(store: Store) -> None:
    ann, bob = person(store, "ann"), person(store, "bob")
    limits = TalkLimits(n_bytes=1000)
    messages, conversations = Messages(store, limits=limits), Conversations(store, limits=limits)
    chat, other = conversations.create(ann), conversations.create(bob)
    said = messages.say(ann, chat.id, None, "x" * 600)
    with pytest.raises(RoomError, match="delete some"):
        messages.say(ann, chat.id, None, "y" * 600)
    assert len(messages.path(ann, chat.id).entries) == 1
    messages.say(bob, other.id, None, "y" * 600)
    # An answer that has begun is kept, whatever room it takes; then there is none.
    answer = messages.open_answer(ann, chat.id, said.id, model="m")
    messages.finish(ann, answer.id, "complete", "z" * 2000)
    with pytest.raises(RoomError):
        messages.open_answer(ann, chat.id, said.id, model="m")
    conversations.delete(ann, chat.id)
    messages.say(ann, conversations.create(ann).id, None, "y" * 600)


def test_what_is_kept_is_counted_as_it_grows(store: Store) -> None:
    ann, messages = person(store, "ann"), Messages(store)
    chat = Conversations(store).create(ann)
    said = messages.say(ann, chat.id, None, "é" * 10)
    answer = messages.open_answer(ann, chat.id, said.id, model="m")
    for part in ("a", "a" * 50, "a" * 20):
        messages.save(ann, answer.id, part, [{"text": part, "calls": []}])
        check_count(store)
    source = {"number": 1, "text": "b" * 40}
    messages.finish(ann, answer.id, "complete", "a" * 30, sources=[source])
    check_count(store)


def check_count(store: Store) -> None:
    with store.read() as session:
        rows = session.scalars(select(MessageRow)).all()
        assert counted(store) == [sum(row.n_bytes for row in rows)]


def test_a_conversation_has_an_end(lite: Store) -> None:
    ann, messages = person(lite, "ann"), Messages(lite, limits=TalkLimits(messages=3))
    chat = Conversations(lite).create(ann)
    for _ in range(3):
        messages.say(ann, chat.id, None, "x")
    with pytest.raises(RoomError, match="begin a new one"):
        messages.say(ann, chat.id, None, "x")
    assert len(messages.path(ann, chat.id).entries[0].siblings) == 3


def test_what_was_kept_before_it_was_counted_is_counted_by_the_migration(store: Store) -> None:
    """The same sum in SQL, on both databases."""

    ann, messages = person(store, "ann"), Messages(store)
    chat = Conversations(store).create(ann)
    messages.say(ann, chat.id, None, "x" * 100)
    with store.write() as session:
        session.execute(update(ConversationRow).values(n_bytes=0))
        size = SIZES["assistant_conversations"]
        session.execute(text(f"UPDATE assistant_conversations SET n_bytes = {size}"))
    assert 100 <= counted(store)[0] <= 110


@pytest.mark.parametrize("model", ["x" * 201, "a\0b"])
def test_a_model_s_name_is_no_book(store: Store, model: str) -> None:
    ann: Owner = person(store, "ann")
    chat = Conversations(store).create(ann)
    with pytest.raises(InvalidParameterError, match="at most 200"):
        Conversations(store).choose(ann, chat.id, model=model, preset_id=None)


def test_a_preset_names_so_many_tools(lite: Store) -> None:
    ann = person(lite, "ann")
    with pytest.raises(InvalidParameterError, match="200 tools"):
        Presets(lite).create(ann, "a", "b", tools=["x"] * 201)
    with pytest.raises(InvalidParameterError, match="200 characters"):
        Presets(lite).create(ann, "a", "b", model="x" * 201)
