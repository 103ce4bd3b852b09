"""The log of tool calls: who, what, when, how long, how it ended.

In: one line for each call.  Out: the latest lines, for the owner; a tenant's oldest make room.
Knows no content: arguments and results stand with the message, and go when it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Index, Integer, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, Clock, Moment, RowNumber, utc_now
from puna.accounts.store import Store
from puna.chat import ToolCall
from puna.services.assistant.tools.tool import Asking

LINES = 20_000  # of one tenant

CallOutcome = Literal["done", "failed", "refused", "late"]


@dataclass(frozen=True)
class CallLine:
    """One call; sizes are in characters."""

    at: datetime
    tenant_id: str
    user_id: str
    message_id: str
    tool: str
    outcome: CallOutcome
    took_ms: int
    argument_characters: int
    result_characters: int


@dataclass(frozen=True)
class Done:
    """How a call ended; `result` is what the model reads."""

    call: ToolCall
    label: str
    result: str
    outcome: CallOutcome
    took_s: float


class CallRow(Base):
    """One call."""

    __tablename__ = "assistant_tool_calls"
    __table_args__ = (Index("ix_assistant_tool_calls_room", "tenant_id", "number"),)

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str] = mapped_column(String(64))
    tool: Mapped[str] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(10))
    took_ms: Mapped[int] = mapped_column(Integer)
    argument_characters: Mapped[int] = mapped_column(Integer)
    result_characters: Mapped[int] = mapped_column(Integer)


class CallLog:
    """Every call that was tried, of each tenant the last `lines`."""

    def __init__(self, store: Store, clock: Clock = utc_now, lines: int = LINES) -> None:
        self._store, self._clock, self._lines = store, clock, lines

    def note(self, asking: Asking, done: Done) -> None:
        """Add a line; the tenant's oldest goes where there are too many."""
        row = CallRow(
            at=self._clock(),
            tenant_id=asking.owner.tenant_id,
            user_id=asking.owner.user_id,
            message_id=asking.message_id,
            tool=done.call.name[:200],
            outcome=done.outcome,
            took_ms=round(done.took_s * 1000),
            argument_characters=len(done.call.arguments),
            result_characters=len(done.result),
        )
        with self._store.write() as session:
            session.add(row)
            session.flush()
            self._make_room(session, row.tenant_id)

    def latest(self, limit: int = 100) -> list[CallLine]:
        """Return the newest lines first."""
        query = select(CallRow).order_by(CallRow.number.desc()).limit(limit)
        with self._store.read() as session:
            return [
                CallLine(
                    row.at,
                    row.tenant_id,
                    row.user_id,
                    row.message_id,
                    row.tool,
                    cast(CallOutcome, row.outcome),
                    row.took_ms,
                    row.argument_characters,
                    row.result_characters,
                )
                for row in session.scalars(query)
            ]

    def _make_room(self, session: Session, tenant_id: str) -> None:
        mine = CallRow.tenant_id == tenant_id
        newest_first = select(CallRow.number).where(mine).order_by(CallRow.number.desc())
        beyond = session.scalar(newest_first.offset(self._lines).limit(1))
        if beyond is not None:
            session.execute(delete(CallRow).where(mine, CallRow.number <= beyond))
