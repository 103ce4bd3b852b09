"""How fast and how much: requests and tokens a minute, requests at once, tokens a month.

In: a plan's limits and one request's estimate.  Out: one row, one atomic statement.
A minute's limit is a bucket that refills evenly; it is kept as the time at which it will be
full again (the generic cell rate algorithm), so one whole number holds for every process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Integer,
    String,
    case,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.plans import Plan
from puna.accounts.schema import Base, microseconds
from puna.errors import LimitError, QuotaError, RateLimitError

MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Allowance:
    """What is left of one limit, and when it is whole again; no limit: both None."""

    limit: int | None
    remaining: int | None
    reset_s: float


@dataclass(frozen=True)
class Rates:
    """What is left of each limit."""

    requests: Allowance
    tokens: Allowance
    monthly_tokens: Allowance
    concurrent_requests: Allowance


class MeterRow(Base):
    """The counters of a tenant, or of a key that has its own plan."""

    __tablename__ = "meters"
    __table_args__ = (
        CheckConstraint("month_tokens >= 0", "month_tokens"),
        CheckConstraint("reserved_tokens >= 0", "reserved_tokens"),
        CheckConstraint("active_requests >= 0", "active_requests"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    requests_full_at: Mapped[int] = mapped_column(BigInteger)  # microseconds since 1970
    tokens_full_at: Mapped[int] = mapped_column(BigInteger)
    month: Mapped[int] = mapped_column(Integer)  # as 202611, in UTC
    month_tokens: Mapped[int] = mapped_column(BigInteger)  # settled within that month
    reserved_tokens: Mapped[int] = mapped_column(BigInteger)
    active_requests: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def empty(cls, meter_id: str) -> Self:
        """Return a meter that has counted nothing."""
        return cls(
            id=meter_id,
            requests_full_at=0,
            tokens_full_at=0,
            month=0,
            month_tokens=0,
            reserved_tokens=0,
            active_requests=0,
        )


def month_of(moment: datetime) -> int:
    """Return the month as 202611."""
    return moment.year * 100 + moment.month


def take_more(session: Session, meter_id: str, plan: Plan, tokens: int, now: datetime) -> None:
    """Count more tokens of a request that is counted already; LimitError as `take` raises it."""
    of_tokens = replace(plan, requests_per_minute=None, concurrent_requests=None)
    take(session, meter_id, of_tokens, tokens, now, requests=0)


def take(
    session: Session,
    meter_id: str,
    plan: Plan,
    tokens: int,
    now: datetime,
    *,
    requests: int = 1,
) -> None:
    """Count a request of at most so many tokens, by one statement.

    LimitError, and nothing is counted, if a limit does not allow it.
    """
    row, now_us = MeterRow, microseconds(now)
    statement = (
        update(row)
        .where(row.id == meter_id, *_limits(plan, tokens, now))
        .values(
            requests_full_at=_fuller(row.requests_full_at, 1, plan.requests_per_minute, now_us),
            tokens_full_at=_fuller(row.tokens_full_at, tokens, plan.tokens_per_minute, now_us),
            month_tokens=_month_tokens(month_of(now)),
            month=_month(month_of(now)),
            reserved_tokens=row.reserved_tokens + tokens,
            active_requests=row.active_requests + requests,
        )
        .returning(row.id)
    )
    taken = session.execute(statement, execution_options={"synchronize_session": False})
    if taken.first() is None:
        raise _refusal(_read(session, meter_id), plan, tokens, now)


def check(session: Session, meter_id: str, plan: Plan, now: datetime) -> None:
    """Raise what `take` would of a request of one token; counts nothing."""
    row = MeterRow
    allowed = select(row.id).where(row.id == meter_id, *_limits(plan, 1, now))
    if session.execute(allowed).first() is None:
        raise _refusal(_read(session, meter_id), plan, 1, now)


def _limits(plan: Plan, tokens: int, now: datetime) -> Iterator[ColumnElement[bool]]:
    """What must hold of the row for the request to be counted."""
    row, now_us = MeterRow, microseconds(now)
    if plan.requests_per_minute is not None:
        full_at = _fuller(row.requests_full_at, 1, plan.requests_per_minute, now_us)
        yield full_at <= now_us + MINUTE_US
    if plan.tokens_per_minute is not None:
        full_at = _fuller(row.tokens_full_at, tokens, plan.tokens_per_minute, now_us)
        yield full_at <= now_us + MINUTE_US
    if plan.concurrent_requests is not None:
        yield row.active_requests < plan.concurrent_requests
    if plan.monthly_tokens is not None:
        used = _month_tokens(month_of(now)) + row.reserved_tokens
        yield used + tokens <= plan.monthly_tokens


def give_back(
    session: Session,
    meter_id: str,
    now: datetime,
    *,
    reserved: int,
    used: int,
    per_minute: int | None,
) -> None:
    """Count what a request took in truth: `used` tokens instead of the `reserved` ones."""
    month, row = month_of(now), MeterRow
    unused_us = _filling_us(reserved, per_minute) - _filling_us(used, per_minute)
    session.execute(
        update(row)
        .where(row.id == meter_id)
        .values(
            tokens_full_at=row.tokens_full_at - unused_us,
            month_tokens=_month_tokens(month) + used,
            month=_month(month),
            reserved_tokens=row.reserved_tokens - reserved,
            active_requests=row.active_requests - 1,
        ),
        execution_options={"synchronize_session": False},
    )


def standing(session: Session, meter_id: str, plan: Plan, now: datetime) -> Rates:
    """Return what is left of each limit now."""
    row, now_us = _read(session, meter_id), microseconds(now)
    used = (row.month_tokens if row.month >= month_of(now) else 0) + row.reserved_tokens
    return Rates(
        _bucket(row.requests_full_at, plan.requests_per_minute, now_us),
        _bucket(row.tokens_full_at, plan.tokens_per_minute, now_us),
        _count(used, plan.monthly_tokens, _next_month_s(now)),
        _count(row.active_requests, plan.concurrent_requests, 0.0),
    )


def _filling_us(amount: int, per_minute: int | None) -> int:
    """Return the time in which the bucket takes in so much, rounded up."""
    return 0 if per_minute is None else -(-amount * MINUTE_US // per_minute)


def _fuller(full_at: Any, amount: int, per_minute: int | None, now_us: int) -> ColumnElement[int]:
    """When the bucket is full again once so much is taken, counted from now at the earliest.

    Where it is more than two minutes ahead, the clock was set back since.
    """
    latest = now_us + 2 * MINUTE_US
    start = case((full_at < now_us, now_us), (full_at > latest, now_us), else_=full_at)
    return start + _filling_us(amount, per_minute)


def _missing_us(full_at: int, now_us: int) -> int:
    """The same in Python, from now on: how long the bucket still needs."""
    missing_us = max(full_at - now_us, 0)
    return 0 if missing_us > 2 * MINUTE_US else missing_us


def _month(month: int) -> ColumnElement[int]:
    return case((MeterRow.month < month, month), else_=MeterRow.month)


def _month_tokens(month: int) -> ColumnElement[int]:
    return case((MeterRow.month < month, 0), else_=MeterRow.month_tokens)


def _read(session: Session, meter_id: str) -> MeterRow:
    row = session.get(MeterRow, meter_id, populate_existing=True)
    assert row is not None, "a meter is there from its tenant's or key's creation on"
    return row


def _bucket(full_at: int, per_minute: int | None, now_us: int) -> Allowance:
    if per_minute is None:
        return Allowance(None, None, 0.0)
    missing_us = _missing_us(full_at, now_us)
    left_us = max(MINUTE_US - missing_us, 0)
    return Allowance(per_minute, left_us * per_minute // MINUTE_US, missing_us / 1e6)


def _count(used: int, limit: int | None, reset_s: float) -> Allowance:
    return Allowance(limit, None if limit is None else max(limit - used, 0), reset_s)


def _next_month_s(now: datetime) -> float:
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=now.year + now.month // 12, month=now.month % 12 + 1)
    return (following - now).total_seconds()


def _refusal(row: MeterRow, plan: Plan, tokens: int, now: datetime) -> LimitError:
    """Say which limit it was, and when to come again."""
    used = (row.month_tokens if row.month >= month_of(now) else 0) + row.reserved_tokens
    if plan.monthly_tokens is not None and used + tokens > plan.monthly_tokens:
        return QuotaError(
            f"the plan {plan.id!r} has {plan.monthly_tokens:,} tokens a month; {used:,} are used "
            f"or reserved, and this request may take {tokens:,}",
            _next_month_s(now),
        )
    if plan.tokens_per_minute is not None and tokens > plan.tokens_per_minute:
        return RateLimitError(
            f"this request may take {tokens:,} tokens, and the plan {plan.id!r} has "
            f"{plan.tokens_per_minute:,} a minute; shorten it or lower max_tokens"
        )
    if plan.concurrent_requests is not None and row.active_requests >= plan.concurrent_requests:
        return RateLimitError(
            f"the plan {plan.id!r} answers {plan.concurrent_requests} requests at once", 1.0
        )
    return _come_again(row, plan, tokens, microseconds(now))


def _come_again(row: MeterRow, plan: Plan, tokens: int, now_us: int) -> RateLimitError:
    """Name the bucket that takes longer to have room."""
    rpm, tpm = plan.requests_per_minute, plan.tokens_per_minute
    requests_us = _missing_us(row.requests_full_at, now_us) + _filling_us(1, rpm)
    tokens_us = _missing_us(row.tokens_full_at, now_us) + _filling_us(tokens, tpm)
    limit = f"{rpm} requests" if requests_us >= tokens_us else f"{tpm} tokens"
    wait_s = max(requests_us - MINUTE_US, tokens_us - MINUTE_US, 1) / 1e6
    message = f"the plan {plan.id!r} has {limit} a minute; try again in {wait_s:.1f} s"
    return RateLimitError(message, wait_s)
