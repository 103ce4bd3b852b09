"""A message: one thing that was said, as it is kept and as it is read.

In: a row of the database.  Out: an Entry, plain data.  Knows no conversation and no tree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts.schema import Base, Moment, RowNumber

Role = Literal["user", "assistant"]
Outcome = Literal["running", "complete", "length", "repeated", "stopped", "broken"]


@dataclass(frozen=True)
class Entry:
    """A message as it is read.

    `steps` is how an answer came about: what was said before a round of tool calls, and the calls
    ({"text", "calls": [{"id", "name", "arguments", "result", "outcome", "took_s"}]}); `sources`
    is what its marks [1] point to (citations.Citation as a mapping); `count` the tokens and
    seconds it took; `error` says why it broke off.
    """

    id: str
    parent_id: str | None
    role: Role
    text: str
    outcome: Outcome
    siblings: tuple[str, ...]
    created_at: datetime
    model: str = ""
    file_ids: tuple[str, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()
    count: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class MessageRow(Base):
    """One message."""

    __tablename__ = "assistant_messages"

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    conversation_id: Mapped[str] = mapped_column(
        ForeignKey("assistant_conversations.id", ondelete="CASCADE"), index=True
    )
    parent_id: Mapped[str | None] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(10))
    text: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(String(10), index=True)
    model: Mapped[str] = mapped_column(String(200), default="")
    file_ids: Mapped[Any] = mapped_column(JSON, default=list)
    steps: Mapped[Any] = mapped_column(JSON, default=list)
    sources: Mapped[Any] = mapped_column(JSON, default=list)
    count: Mapped[Any] = mapped_column(JSON, default=dict)
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    # Which process gives an answer that is running, and when it was last heard of.
    holder: Mapped[str | None] = mapped_column(String(200))
    renewed_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def n_bytes(self) -> int:
        """About what it takes of its person's room."""
        return len(self.text.encode()) + len(json.dumps([self.steps, self.sources]))

    def entry(self, siblings: tuple[str, ...]) -> Entry:
        """Return it as plain data."""
        return Entry(
            self.id,
            self.parent_id,
            cast(Role, self.role),
            self.text,
            cast(Outcome, self.outcome),
            siblings,
            self.created_at,
            self.model,
            tuple(self.file_ids),
            tuple(self.steps),
            tuple(self.sources),
            dict(self.count),
            self.error,
        )
