"""Conversations taken out and brought back: JSON holds the whole tree, Markdown the branch shown.

In: an owner and ids, or what saved.py has read.  Out: documents, or new conversations, all or none.
Does not know files but by id: bundle.py takes them along.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from puna.accounts.schema import Clock, new_id, utc_now
from puna.accounts.store import Store
from puna.services.assistant.conversations import (
    Conversation,
    ConversationRow,
    TalkLimits,
    find_conversation,
)
from puna.services.assistant.entry import MessageRow
from puna.services.assistant.indexes import MESSAGE_WORDS as WORDS
from puna.services.assistant.messages import Page
from puna.services.assistant.owner import Owner, own
from puna.services.assistant.saved import (
    FORMAT,
    LONGEST_ERROR,
    Saved,
    SavedCall,
    SavedConversation,
    SavedCount,
    SavedMessage,
    SavedPlace,
    SavedSource,
    SavedStep,
    checked,
)
from puna.services.assistant.words import folded_words

NAMES = {"user": "You", "assistant": "Puna"}

Ids = Mapping[str, str]  # from those of a document to those of here


@dataclass(frozen=True)
class Prepared:
    """A conversation that is about to be kept, and the words of each of its messages."""

    conversation: ConversationRow
    messages: Sequence[MessageRow]
    words: Sequence[str]


class Archive:
    """Takes conversations out and brings them back."""

    def __init__(
        self, store: Store, clock: Clock = utc_now, limits: TalkLimits | None = None
    ) -> None:
        self._store, self._clock, self._limits = store, clock, limits or TalkLimits()

    def saved(self, owner: Owner, conversation_id: str) -> SavedConversation:
        """Return the whole tree, in the order in which it was said."""
        with self._store.read() as session:
            row = find_conversation(session, owner, conversation_id)
            query = select(MessageRow).where(MessageRow.conversation_id == row.id)
            messages = session.scalars(query.order_by(MessageRow.number)).all()
            return SavedConversation(
                format=FORMAT,
                title=row.title,
                model=row.model,
                created_at=row.created_at,
                leaf=row.leaf_id,
                messages=[_saved(message) for message in messages],
            )

    def json(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        """Return the whole tree as plain data."""
        return self.saved(owner, conversation_id).model_dump(mode="json", exclude_none=True)

    def every_id(self, owner: Owner) -> Sequence[str]:
        """Return the ids of every conversation in which something was said, the latest first."""
        query = own(select(ConversationRow.id), ConversationRow, owner)
        query = query.where(ConversationRow.leaf_id.is_not(None))
        with self._store.read() as session:
            return session.scalars(query.order_by(ConversationRow.updated_at.desc())).all()

    def every_json(self, owner: Owner) -> list[dict[str, Any]]:
        """Return every conversation of this person."""
        return [self.json(owner, conversation_id) for conversation_id in self.every_id(owner)]

    def bring(
        self, owner: Owner, talks: Sequence[SavedConversation], files: Ids | None = None
    ) -> list[Conversation]:
        """Make conversations, all in one transaction; RoomError where they are too much.

        `files` are the ids here of the documents' files; those of no other are kept.
        """
        return self.keep(owner, self.prepared(owner, talks, files or {}))

    def prepared(
        self, owner: Owner, talks: Sequence[SavedConversation], files: Ids
    ) -> list[Prepared]:
        """Do all that takes time before a transaction, which keeps others from writing."""
        return [self._prepared(owner, talk, files) for talk in talks]

    def keep(self, owner: Owner, made: Sequence[Prepared]) -> list[Conversation]:
        """Keep conversations in one transaction; RoomError where they are too much."""
        rows = [row for one in made for row in one.messages]
        words = [folded for one in made for folded in one.words]
        n_bytes = sum(one.conversation.n_bytes for one in made)
        with self._store.write() as session:
            self._limits.check(session, owner, conversations=len(made), n_bytes=n_bytes)
            session.add_all([one.conversation for one in made])
            session.flush()
            session.add_all(rows)
            session.flush()
            WORDS.add(session, dict(zip((row.number for row in rows), words, strict=True)))
        return [one.conversation.conversation() for one in made]

    def _prepared(self, owner: Owner, talk: SavedConversation, files: Ids) -> Prepared:
        row = ConversationRow.new(owner, self._clock(), talk.title, talk.model)
        ids = {message.id: new_id("msg") for message in talk.messages}
        messages = [self._row(row.id, message, ids, files) for message in talk.messages]
        row.leaf_id = ids.get(talk.leaf or "") or messages[-1].id
        row.created_at = talk.created_at or row.created_at
        row.n_bytes = sum(message.n_bytes for message in messages)
        words = [" ".join(folded_words(message.text)) for message in messages]
        return Prepared(row, messages, words)

    def _row(self, conversation_id: str, message: SavedMessage, ids: Ids, files: Ids) -> MessageRow:
        return MessageRow(
            id=ids[message.id],
            conversation_id=conversation_id,
            parent_id=None if message.parent is None else ids[message.parent],
            role=message.role,
            text=message.text,
            outcome="broken" if message.outcome == "running" else message.outcome,
            model=message.model,
            created_at=message.created_at or self._clock(),
            file_ids=[files[one] for one in message.files if one in files],
            steps=[step.model_dump() for step in message.steps],
            sources=[_source(source, files) for source in message.sources],
            count=message.count.model_dump(exclude_none=True) if message.count else {},
            error=message.error,
        )


def markdown(conversation: Conversation, page: Page) -> str:
    """Return a branch as a document that a person reads, with its sources below each answer."""
    parts = [f"# {conversation.title}"]
    for entry in page.entries:
        parts.append(f"## {NAMES[entry.role]}\n\n{entry.text}")
        parts += [_source_line(source) for source in entry.sources]
    return "\n\n".join(parts) + "\n"


def _source_line(source: Mapping[str, Any]) -> str:
    where = ", ".join(filter(None, [str(source["name"]), str(source["where"])]))
    if not source.get("cited", True):
        return f"Read: {where}"
    quote = " ".join(str(source["quote"]).split())
    return f"[{source['number']}] {where}: “{quote}”"


def _source(source: SavedSource, files: Ids) -> dict[str, Any]:
    """Return a source whose file is one of here, or none."""
    return {**source.model_dump(), "file_id": files.get(source.file_id or "")}


def _saved(row: MessageRow) -> SavedMessage:
    document = {
        "id": row.id,
        "parent": row.parent_id,
        "role": row.role,
        "text": row.text,
        "outcome": row.outcome,
        "model": row.model,
        "created_at": row.created_at,
        "files": list(row.file_ids),
        "steps": [_step(step) for step in row.steps],
        "sources": [_known(SavedSource, _placed(source)) for source in row.sources],
        "count": _known(SavedCount, row.count) if row.count else None,
        "error": row.error[:LONGEST_ERROR],
    }
    return checked(SavedMessage, document, f"message {row.id}")


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    calls = [_known(SavedCall, call) for call in step["calls"]]
    return {**_known(SavedStep, step), "calls": calls}


def _placed(source: Mapping[str, Any]) -> dict[str, Any]:
    return {**source, "place": _known(SavedPlace, source.get("place", {}))}


def _known(kind: type[Saved], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the format has words for; what else was kept is of use here alone."""
    wanted: Collection[str] = kind.model_fields
    return {name: value for name, value in kept.items() if name in wanted}
