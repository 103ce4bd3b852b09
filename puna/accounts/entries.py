"""The ledger's entries: each credit and each charge, never changed, never removed.

In: one entry.  Out: the entries again.  The database itself refuses to change them.
A credit's amount is positive, a charge's is negative or zero: a tenant's money is their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, Moment, RowNumber
from puna.chat import Usage

Outcome = Literal["success", "error", "disconnect", "shutdown", "crash"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Charge:
    """What one request came to, in micro-units; the same whatever is asked again."""

    admission_id: str
    cost_micros: int
    currency: str
    usage: Usage
    outcome: Outcome


class EntryRow(Base):
    """One credit or one charge."""

    __tablename__ = "entries"
    __table_args__ = (
        Index("ix_entries_tenant_id_day", "tenant_id", "day"),
        Index("ix_entries_claim", "claim"),
    )

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    kind: Mapped[str] = mapped_column(String(10))  # "credit" or "charge"
    amount_micros: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    # The admission's or the payment's id: what makes a second entry of the same impossible.
    reference: Mapped[str] = mapped_column(String(200), unique=True)
    at: Mapped[datetime] = mapped_column(Moment)
    day: Mapped[int] = mapped_column(Integer)  # as 20261124, in UTC
    note: Mapped[str] = mapped_column(String(500), default="")
    meter_id: Mapped[str | None] = mapped_column(String(64))
    key_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    plan_id: Mapped[str | None] = mapped_column(String(64))
    model: Mapped[str | None] = mapped_column(String(300))
    prompt_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cached_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    completion_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    outcome: Mapped[str | None] = mapped_column(String(10))
    claim: Mapped[str | None] = mapped_column(String(64))  # of a request that is paid for once

    def charge(self) -> Charge:
        """Return what the request came to."""
        usage = Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)
        outcome = cast(Outcome, self.outcome)
        return Charge(self.reference, -self.amount_micros, self.currency, usage, outcome)


def day_of(moment: datetime) -> int:
    """Return the day as 20261124."""
    return moment.year * 10_000 + moment.month * 100 + moment.day


def find(session: Session, reference: str) -> EntryRow | None:
    """Return the entry of an admission or a payment."""
    return session.scalar(select(EntryRow).where(EntryRow.reference == reference))


def paid(session: Session, claim: str) -> Usage:
    """Return what is charged under a claim, by all that began it."""
    row = EntryRow
    counts = (row.prompt_tokens, row.completion_tokens, row.cached_tokens)
    sums = [func.coalesce(func.sum(count), 0) for count in counts]
    found = session.execute(select(*sums).where(row.claim == claim)).one()
    return Usage(*map(int, found))


def beyond(usage: Usage, paid: Usage) -> Usage:
    """Return what of a usage is not paid; nothing of a kind of which more is."""
    prompt = max(usage.prompt_tokens - paid.prompt_tokens, 0)
    cached = max(usage.cached_tokens - paid.cached_tokens, 0)
    completion = max(usage.completion_tokens - paid.completion_tokens, 0)
    return Usage(prompt, completion, min(cached, prompt))
