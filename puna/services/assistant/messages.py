"""What was said in a conversation: a tree of messages, and the branch that is on screen.

In: an owner, a conversation, texts.  Out: entries in the order in which they are read.
Does not know the model: an answer is saved as it grows and finished by whoever makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from puna.accounts import holder
from puna.accounts.schema import Clock, new_id, utc_now
from puna.accounts.store import Store
from puna.errors import InvalidParameterError, NotFoundError
from puna.services.assistant.conversations import (
    UNTITLED,
    ConversationRow,
    TalkLimits,
    find_conversation,
    opening_title,
)
from puna.services.assistant.entry import Entry, MessageRow, Outcome, Role
from puna.services.assistant.indexes import MESSAGE_WORDS as WORDS
from puna.services.assistant.owner import Owner, found
from puna.services.assistant.text import writable
from puna.services.assistant.tree import Node, Tree
from puna.services.assistant.words import folded_words

LONGEST_TEXT = 400_000  # characters in one message


@dataclass(frozen=True)
class Page:
    """Consecutive entries of a branch; `earlier` says that more stand before the first."""

    entries: tuple[Entry, ...]
    earlier: bool


class Messages:
    """The messages of every person's conversations."""

    def __init__(
        self, store: Store, clock: Clock = utc_now, limits: TalkLimits | None = None
    ) -> None:
        self._store, self._clock, self._limits = store, clock, limits or TalkLimits()
        self.given_here: set[str] = set()  # the answers that are running in this process

    def say(
        self,
        owner: Owner,
        conversation_id: str,
        parent_id: str | None,
        text: str,
        *,
        file_ids: Sequence[str] = (),
    ) -> Entry:
        """Add what the person says after `parent_id`; an edit is said beside the old message.

        RoomError where the person's conversations have no room for it.
        """
        [entry] = self._add(owner, self._question(conversation_id, parent_id, text, file_ids))
        return entry

    def ask(
        self,
        owner: Owner,
        conversation_id: str,
        parent_id: str | None,
        text: str,
        *,
        file_ids: Sequence[str] = (),
        model: str,
    ) -> tuple[Entry, Entry]:
        """Say something and begin the answer to it, in one step."""
        said = self._question(conversation_id, parent_id, text, file_ids)
        question, answer = self._add(owner, said, self._answer(conversation_id, said.id, model))
        self.given_here.add(answer.id)
        return question, answer

    def open_answer(
        self, owner: Owner, conversation_id: str, parent_id: str, *, model: str
    ) -> Entry:
        """Begin an answer to `parent_id`; a further one stands beside those that are there."""
        [entry] = self._add(owner, self._answer(conversation_id, parent_id, model))
        self.given_here.add(entry.id)
        return entry

    def save(
        self, owner: Owner, message_id: str, text: str, steps: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep how far an answer has come, should the machine stop now."""
        with self._store.write() as session:
            row, conversation = _find(session, owner, message_id)
            _write(row, conversation, text, steps, ())

    def finish(
        self,
        owner: Owner,
        message_id: str,
        outcome: Outcome,
        text: str,
        *,
        steps: Sequence[Mapping[str, Any]] = (),
        sources: Sequence[Mapping[str, Any]] = (),
        count: Mapping[str, Any] | None = None,
        error: str = "",
    ) -> Entry:
        """End an answer; what was said stays, however it ended and whatever room it takes."""
        self.given_here.discard(message_id)
        with self._store.write() as session:
            row, conversation = _find(session, owner, message_id)
            _write(row, conversation, text, steps, sources)
            row.outcome, row.error, row.count = outcome, writable(error), dict(count or {})
            conversation.updated_at = self._clock()
            WORDS.put(session, row.number, row.text)
            return row.entry(_tree(session, conversation.id).siblings(row.id))

    def path(
        self,
        owner: Owner,
        conversation_id: str,
        *,
        leaf_id: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> Page:
        """Return the last `limit` entries of the branch on screen, or of another, before `before`."""  # noqa: E501
        with self._store.read() as session:
            conversation = find_conversation(session, owner, conversation_id)
            tree = _tree(session, conversation.id)
            ids = tree.path(_known(tree, leaf_id or conversation.leaf_id))
            if before is not None:
                ids = ids[: ids.index(before)] if before in ids else []
            wanted = ids if limit is None else ids[-limit:]
            return Page(_entries(session, tree, wanted), len(wanted) < len(ids))

    def get(self, owner: Owner, message_id: str) -> Entry:
        """Return one message."""
        with self._store.read() as session:
            row, conversation = _find(session, owner, message_id)
            return row.entry(_tree(session, conversation.id).siblings(row.id))

    def choose_branch(self, owner: Owner, conversation_id: str, message_id: str) -> Page:
        """Show the branch of this message, down to its newest end."""
        with self._store.write() as session:
            conversation = find_conversation(session, owner, conversation_id)
            tree = _tree(session, conversation.id)
            conversation.leaf_id = tree.newest_leaf(_known(tree, message_id))
        return self.path(owner, conversation_id)

    def _question(
        self, conversation_id: str, parent_id: str | None, text: str, file_ids: Sequence[str]
    ) -> MessageRow:
        text = writable(text)
        if not text.strip() or len(text) > LONGEST_TEXT:
            raise InvalidParameterError(f"a message has 1 to {LONGEST_TEXT:,} characters")
        new = self._new(conversation_id, parent_id, "user", "complete", text=text)
        new.file_ids = list(file_ids)
        return new

    def _answer(self, conversation_id: str, parent_id: str, model: str) -> MessageRow:
        new = self._new(conversation_id, parent_id, "assistant", "running", text="", model=model)
        new.holder, new.renewed_at = holder.this_process(), self._clock()
        return new

    def _new(
        self,
        conversation_id: str,
        parent_id: str | None,
        role: Role,
        outcome: Outcome,
        *,
        text: str,
        model: str = "",
    ) -> MessageRow:
        return MessageRow(
            id=new_id("msg"),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            text=text,
            outcome=outcome,
            model=model,
            created_at=self._clock(),
            file_ids=[],
            steps=[],
            sources=[],
            count={},
            error="",
        )

    def _add(self, owner: Owner, *rows: MessageRow) -> list[Entry]:
        """Add messages of which each answers the one before it."""
        with self._store.write() as session:
            first, n_bytes = rows[0], sum(row.n_bytes for row in rows)
            conversation = find_conversation(session, owner, first.conversation_id)
            _check_parent(session, first)
            self._limits.check(session, owner, n_bytes=n_bytes)
            conversation.n_bytes = ConversationRow.n_bytes + n_bytes
            conversation.leaf_id, conversation.updated_at = rows[-1].id, self._clock()
            if conversation.title_by == "opening" and conversation.title == UNTITLED:
                conversation.entitle(opening_title(first.text), "opening")
            session.add_all(rows)
            session.flush()
            WORDS.add(session, {row.number: " ".join(folded_words(row.text)) for row in rows})
            tree = _tree(session, conversation.id)
            self._limits.check_tree(len(tree))
            return [row.entry(tree.siblings(row.id)) for row in rows]


def _write(
    row: MessageRow,
    conversation: ConversationRow,
    text: str,
    steps: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
) -> None:
    """Put in how far an answer has come, and count what it takes."""
    before = row.n_bytes
    row.text = writable(text)
    row.steps, row.sources = [dict(step) for step in steps], [dict(one) for one in sources]
    conversation.n_bytes = ConversationRow.n_bytes + (row.n_bytes - before)


def _check_parent(session: Session, row: MessageRow) -> None:
    """A person answers the assistant, the assistant a person, within one conversation."""
    answered = "assistant"
    if row.parent_id is not None:
        query = select(MessageRow.role).where(
            MessageRow.id == row.parent_id, MessageRow.conversation_id == row.conversation_id
        )
        answered = found(session, query, "message in this conversation", row.parent_id)
    if answered == row.role:
        raise InvalidParameterError(f"the {row.role} cannot answer a message of their own")


def _find(session: Session, owner: Owner, message_id: str) -> tuple[MessageRow, ConversationRow]:
    query = select(MessageRow).where(MessageRow.id == message_id)
    row: MessageRow = found(session, query, "message", message_id)
    try:
        return row, find_conversation(session, owner, row.conversation_id)
    except NotFoundError:
        raise NotFoundError(f"there is no message {message_id!r}") from None


def _known(tree: Tree, message_id: str | None) -> str | None:
    if message_id is not None and message_id not in tree:
        raise NotFoundError(f"there is no message {message_id!r} in this conversation")
    return message_id


def _tree(session: Session, conversation_id: str) -> Tree:
    query = select(MessageRow.id, MessageRow.parent_id, MessageRow.number)
    rows = session.execute(query.where(MessageRow.conversation_id == conversation_id))
    return Tree(Node(*row) for row in rows)


def _entries(session: Session, tree: Tree, ids: Sequence[str]) -> tuple[Entry, ...]:
    rows = {
        row.id: row for row in session.scalars(select(MessageRow).where(MessageRow.id.in_(ids)))
    }
    return tuple(rows[message_id].entry(tree.siblings(message_id)) for message_id in ids)
