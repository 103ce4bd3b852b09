"""Who did what to what, and when: a log that only grows.

In: one line for each change.  Out: the latest lines.
Knows no secrets: details are names and terms, never keys or passwords.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, Clock, Moment, RowNumber, utc_now
from puna.accounts.store import Store


@dataclass(frozen=True)
class Event:
    """One change."""

    at: datetime
    actor: str  # a user's or key's id, "cli", or "system"
    action: str  # such as "key.create"
    target: str
    detail: dict[str, Any]


class EventRow(Base):
    """One change."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(50))
    target: Mapped[str] = mapped_column(String(200))
    detail: Mapped[Any] = mapped_column(JSON)


def note(
    session: Session, at: datetime, actor: str, action: str, target: str, **detail: Any
) -> None:
    """Add a line to the log, in the transaction of the change itself."""
    session.add(EventRow(at=at, actor=actor, action=action, target=target, detail=detail))


def actors(session: Session, action: str, targets: Sequence[str]) -> dict[str, str]:
    """Return who did this to each target, by the target."""
    query = select(EventRow.target, EventRow.actor).where(
        EventRow.action == action, EventRow.target.in_(targets)
    )
    return {row.target: row.actor for row in session.execute(query)} if targets else {}


class Audit:
    """The log, for owners to read; and for what changes no account, such as a model's file."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def add(self, actor: str, action: str, target: str) -> None:
        """Add a line to the log by itself."""
        with self._store.write() as session:
            note(session, self._clock(), actor, action, target)

    def latest(self, limit: int = 100) -> list[Event]:
        """Return the newest lines first."""
        query = select(EventRow).order_by(EventRow.number.desc()).limit(limit)
        with self._store.read() as session:
            return [
                Event(r.at, r.actor, r.action, r.target, r.detail) for r in session.scalars(query)
            ]
