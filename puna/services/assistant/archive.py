"""Conversations taken out and brought back: JSON holds the whole tree, Markdown the branch shown.

In: an owner and ids, or a document that strangers wrote.  Out: documents, or new conversations.
Does not bring files along: a citation keeps the text that it quotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select

from puna.accounts.schema import Clock, new_id, utc_now
from puna.accounts.store import Store
from puna.errors import InvalidParameterError
from puna.services.assistant.conversations import (
    LONGEST_TITLE,
    Conversation,
    Conversations,
    find_conversation,
    opening_title,
)
from puna.services.assistant.indexes import MESSAGE_WORDS as WORDS
from puna.services.assistant.messages import LONGEST_TEXT, MessageRow, Outcome, Page, Role
from puna.services.assistant.owner import Owner

FORMAT = "puna.conversation/1"
MOST_MESSAGES = 20_000  # in one imported conversation
NAMES = {"user": "You", "assistant": "Puna"}


class SavedMessage(BaseModel):
    """A message as a document has it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(max_length=64)
    parent: str | None = Field(None, max_length=64)
    role: Role
    text: str = Field(max_length=LONGEST_TEXT)
    outcome: Outcome = "complete"
    model: str = Field("", max_length=200)
    created_at: datetime | None = None
    steps: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    count: dict[str, float] = {}
    error: str = Field("", max_length=2_000)


class SavedConversation(BaseModel):
    """A conversation as a document has it."""

    model_config = ConfigDict(extra="forbid")

    format: str
    title: str = Field("", max_length=LONGEST_TITLE)
    model: str = Field("", max_length=200)
    created_at: datetime | None = None
    leaf: str | None = None
    messages: list[SavedMessage] = Field(max_length=MOST_MESSAGES)


class Archive:
    """Takes conversations out and brings them back."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def json(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        """Return the whole tree as plain data, in the order in which it was said."""
        with self._store.read() as session:
            row = find_conversation(session, owner, conversation_id)
            query = select(MessageRow).where(MessageRow.conversation_id == row.id)
            messages = session.scalars(query.order_by(MessageRow.number)).all()
            saved = SavedConversation(
                format=FORMAT,
                title=row.title,
                model=row.model,
                created_at=row.created_at,
                leaf=row.leaf_id,
                messages=[_saved(message) for message in messages],
            )
        return saved.model_dump(mode="json")

    def every_json(self, owner: Owner) -> list[dict[str, Any]]:
        """Return every conversation of this person."""
        conversations = Conversations(self._store).list(owner, limit=1_000_000)
        return [self.json(owner, conversation.id) for conversation in conversations]

    def check(self, document: Any) -> None:
        """Raise what `bring` would, and keep nothing."""
        _checked(document)

    def bring(self, owner: Owner, document: Any) -> Conversation:
        """Make a conversation from `json`'s document, or from [{"role", "content"}, ...]."""
        saved = _checked(document)
        ids = {message.id: new_id("msg") for message in saved.messages}
        with self._store.write() as session:
            conversation = Conversations(self._store, self._clock).create(
                owner, title=saved.title, model=saved.model
            )
            for message in saved.messages:
                row = self._row(conversation.id, message, ids)
                session.add(row)
                session.flush()
                WORDS.put(session, row.number, row.text)
            kept = find_conversation(session, owner, conversation.id)
            kept.leaf_id = ids.get(saved.leaf or "") or list(ids.values())[-1]
        return kept.conversation()

    def _row(
        self, conversation_id: str, message: SavedMessage, ids: Mapping[str, str]
    ) -> MessageRow:
        return MessageRow(
            id=ids[message.id],
            conversation_id=conversation_id,
            parent_id=None if message.parent is None else ids[message.parent],
            role=message.role,
            text=message.text,
            outcome="broken" if message.outcome == "running" else message.outcome,
            model=message.model,
            created_at=_zoned(message.created_at) or self._clock(),
            file_ids=[],
            steps=message.steps,
            sources=message.sources,
            count=message.count,
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


def _saved(row: MessageRow) -> SavedMessage:
    return SavedMessage(
        id=row.id,
        parent=row.parent_id,
        role=row.role,  # type: ignore[arg-type]
        text=row.text,
        outcome=row.outcome,  # type: ignore[arg-type]
        model=row.model,
        created_at=row.created_at,
        steps=row.steps,
        sources=row.sources,
        count=row.count,
        error=row.error,
    )


def _from_messages(messages: Sequence[Any]) -> dict[str, Any]:
    """Chain plain messages; instructions to the model are not part of what was said."""
    spoken = [m for m in messages if isinstance(m, dict) and m.get("role") != "system"]
    chained = [
        {
            "id": str(at),
            "parent": str(at - 1) if at else None,
            "role": message.get("role"),
            "text": message.get("content"),
        }
        for at, message in enumerate(spoken)
    ]
    title = opening_title(str(chained[0]["text"])) if chained else ""
    return {"format": FORMAT, "title": title, "messages": chained}


def _checked(document: Any) -> SavedConversation:
    if isinstance(document, list) and len(document) > MOST_MESSAGES:
        raise InvalidParameterError(
            f"the conversation cannot be brought in: it has {len(document)} messages, "
            f"and {MOST_MESSAGES} may be in one"
        )
    try:
        saved = SavedConversation.model_validate(
            _from_messages(document) if isinstance(document, list) else document
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidParameterError(
            f"the conversation cannot be brought in: {where}: {first['msg']}"
        ) from None
    if saved.format != FORMAT or not saved.messages:
        raise InvalidParameterError(
            f"the conversation cannot be brought in: it is not {FORMAT}, or has no message"
        )
    _check_tree(saved.messages)
    return saved


def _check_tree(messages: Sequence[SavedMessage]) -> None:
    """Each message answers an earlier one of the other role, so there are no circles."""
    roles: dict[str | None, Role] = {None: "assistant"}
    for message in messages:
        if message.id in roles or roles.get(message.parent, message.role) == message.role:
            raise InvalidParameterError(
                f"the conversation cannot be brought in: message {message.id!r} answers none "
                "before it, or one of its own role"
            )
        roles[message.id] = message.role


def _zoned(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.astimezone()
