"""Conversations: made, listed, renamed, found, deleted for good.

In: an owner, ids, titles.  Out: conversations as plain data.
Does not know what is said in them: messages.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, Self, cast

from sqlalchemy import BigInteger, Index, Select, String, delete, func, select, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, Clock, Moment, RowNumber, new_id, utc_now
from puna.accounts.sqlite import overwrite_deleted
from puna.accounts.store import Store
from puna.errors import InvalidParameterError, RoomError
from puna.services.assistant.indexes import EVERY_INDEX, forget_conversations
from puna.services.assistant.owner import Owned, Owner, found, own
from puna.services.assistant.sweeper import sweep
from puna.services.assistant.text import writable
from puna.services.assistant.words import fold

LONGEST_TITLE = 200  # characters
LONGEST_MODEL = 200
MOST_MESSAGES = 20_000  # in one conversation, whose whole tree is in memory to look at any part
OPENING_TITLE = 60
AT_ONCE = 50  # conversations deleted in one transaction
UNTITLED = "New conversation"

TitleBy = Literal["opening", "model", "person"]


@dataclass(frozen=True)
class Conversation:
    """What stands in the list; `leaf_id` is the last message of the branch on screen."""

    id: str
    title: str
    title_by: TitleBy
    model: str
    preset_id: str | None
    leaf_id: str | None
    created_at: datetime
    updated_at: datetime


class ConversationRow(Owned, Base):
    """One conversation."""

    __tablename__ = "assistant_conversations"
    __table_args__ = (Index("ix_assistant_conversations_room", "user_id", "tenant_id", "n_bytes"),)

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    folded_title: Mapped[str] = mapped_column(String(2 * LONGEST_TITLE))
    title_by: Mapped[str] = mapped_column(String(10))
    model: Mapped[str] = mapped_column(String(200))
    preset_id: Mapped[str | None] = mapped_column(String(64))
    leaf_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    n_bytes: Mapped[int] = mapped_column(BigInteger)  # of what is said in it

    @classmethod
    def new(
        cls, owner: Owner, now: datetime, title: str, model: str, preset_id: str | None = None
    ) -> Self:
        """Return one in which nothing was said yet."""
        row = cls(
            id=new_id("con"),
            tenant_id=owner.tenant_id,
            user_id=owner.user_id,
            model=model,
            preset_id=preset_id,
            created_at=now,
            updated_at=now,
            n_bytes=0,
        )
        row.entitle(title, "person" if title.strip() else "opening")
        return row

    def conversation(self) -> Conversation:
        """Return it as plain data."""
        return Conversation(
            self.id,
            self.title,
            cast(TitleBy, self.title_by),
            self.model,
            self.preset_id,
            self.leaf_id,
            self.created_at,
            self.updated_at,
        )

    def entitle(self, title: str, by: TitleBy) -> None:
        """Give it a title on one line."""
        self.title = " ".join(writable(title).split())[:LONGEST_TITLE] or UNTITLED
        self.folded_title = folded_title(self.title)
        self.title_by = by


@dataclass(frozen=True)
class TalkLimits:
    """What one person's conversations may be, all together."""

    conversations: int = 10_000
    n_bytes: int = 256 * 2**20  # of what is said in them
    messages: int = MOST_MESSAGES

    def check(
        self, session: Session, owner: Owner, *, conversations: int = 0, n_bytes: int = 0
    ) -> None:
        """Raise RoomError where so many more, or so much more, would be too much."""
        counts = func.count(), func.coalesce(func.sum(ConversationRow.n_bytes), 0)
        kept, kept_bytes = session.execute(own(select(*counts), ConversationRow, owner)).one()
        if conversations and kept + conversations > self.conversations:
            raise RoomError(
                f"you keep {kept:,} conversations, and may keep {self.conversations:,}; "
                "export what is to stay, and delete some"
            )
        if n_bytes and kept_bytes + n_bytes > self.n_bytes:
            raise RoomError(
                f"your conversations may take {self.n_bytes >> 20} MiB in all, and this would "
                "pass it; export what is to stay, and delete some"
            )

    def check_tree(self, messages: int) -> None:
        """Raise RoomError where one conversation has too many messages."""
        if messages > self.messages:
            raise RoomError(
                f"this conversation has {self.messages:,} messages, as many as one may have; "
                "begin a new one"
            )


class Conversations:
    """Every person's conversations."""

    def __init__(
        self,
        store: Store,
        clock: Clock = utc_now,
        sweep_soon: Callable[[], None] | None = None,
        limits: TalkLimits | None = None,
    ) -> None:
        self._store, self._clock, self._limits = store, clock, limits or TalkLimits()
        self._sweep = sweep_soon or partial(sweep, store, EVERY_INDEX)

    def create(
        self, owner: Owner, *, title: str = "", model: str = "", preset_id: str | None = None
    ) -> Conversation:
        """Begin one; without a title the first message gives it.  RoomError if it is too many."""
        row = ConversationRow.new(owner, self._clock(), title, model, preset_id)
        with self._store.write() as session:
            self._limits.check(session, owner, conversations=1)
            session.add(row)
        return row.conversation()

    def get(self, owner: Owner, conversation_id: str) -> Conversation:
        """Return one; NotFoundError where it is not this person's."""
        with self._store.read() as session:
            return find_conversation(session, owner, conversation_id).conversation()

    def list(
        self, owner: Owner, *, after: Conversation | None = None, limit: int = 50
    ) -> list[Conversation]:
        """Return a page, the latest first; `after` is the last one of the page before."""
        with self._store.read() as session:
            rows = session.scalars(_page(owner, after).limit(limit))
            return [row.conversation() for row in rows]

    def rename(self, owner: Owner, conversation_id: str, title: str) -> Conversation:
        """Give it a title by hand, which no model changes again."""
        if not title.strip():
            raise InvalidParameterError("a title has at least one letter")
        return self._entitle(owner, conversation_id, title, "person")

    def improve_title(self, owner: Owner, conversation_id: str, title: str) -> Conversation:
        """Take the model's title, unless a person gave one."""
        kept = self.get(owner, conversation_id)
        if kept.title_by == "person" or not title.strip():
            return kept
        return self._entitle(owner, conversation_id, title[:OPENING_TITLE], "model")

    def choose(
        self, owner: Owner, conversation_id: str, *, model: str, preset_id: str | None
    ) -> Conversation:
        """Go on with another model or preset."""
        if len(model) > LONGEST_MODEL or model != writable(model):
            raise InvalidParameterError(f"a model's name has at most {LONGEST_MODEL} characters")
        with self._store.write() as session:
            row = find_conversation(session, owner, conversation_id)
            row.model, row.preset_id = model, preset_id
        return row.conversation()

    def delete(self, owner: Owner, conversation_id: str) -> None:
        """Delete it with its messages, its files and their words in the index, for good."""
        with self._store.write() as session:
            find_conversation(session, owner, conversation_id)
            _delete(session, [conversation_id])
        self._sweep()

    def delete_all(self, owner: Owner) -> None:
        """Delete every conversation of this person, for good: in batches, for others write, too."""
        with self._store.read() as session:
            ids = session.scalars(own(select(ConversationRow.id), ConversationRow, owner)).all()
        for at in range(0, len(ids), AT_ONCE):
            with self._store.write() as session:
                _delete(session, ids[at : at + AT_ONCE])
        self._sweep()

    def _entitle(self, owner: Owner, conversation_id: str, title: str, by: TitleBy) -> Conversation:
        with self._store.write() as session:
            row = find_conversation(session, owner, conversation_id)
            row.entitle(title, by)
        return row.conversation()


def find_conversation(session: Session, owner: Owner, conversation_id: str) -> ConversationRow:
    """Return the person's row; NotFoundError where there is none."""
    query = own(select(ConversationRow), ConversationRow, owner)
    query = query.where(ConversationRow.id == conversation_id)
    row: ConversationRow = found(session, query, "conversation", conversation_id)
    return row


def opening_title(text: str) -> str:
    """Return a title from the first message: its first words, whole."""
    line = next((line.strip(" #>*-`") for line in text.splitlines() if line.strip(" #>*-`")), "")
    line = " ".join(line.split())
    if len(line) <= OPENING_TITLE:
        return line
    return f"{line[:OPENING_TITLE].rsplit(' ', 1)[0]}…"


def folded_title(title: str) -> str:
    """Return the title as searches compare it."""
    return " ".join(map(fold, title.split()))[: 2 * LONGEST_TITLE]


def _page(owner: Owner, after: Conversation | None) -> Select[ConversationRow]:
    order = (ConversationRow.updated_at, ConversationRow.id)
    query = own(select(ConversationRow), ConversationRow, owner)
    if after is not None:
        query = query.where(tuple_(*order) < (after.updated_at, after.id))
    return query.order_by(*(column.desc() for column in order))


def _delete(session: Session, ids: Sequence[str]) -> None:
    overwrite_deleted(session)
    forget_conversations(session, ids)
    session.execute(delete(ConversationRow).where(ConversationRow.id.in_(ids)))
