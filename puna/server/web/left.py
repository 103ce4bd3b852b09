"""What is left of a plan, in words and as a share.

A ledger's standing in; the meter of the sidebar and of the plan's page out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from puna.accounts import Standing
from puna.accounts.rates import Allowance
from puna.errors import CreditError, LimitError, QuotaError
from puna.server.web import words

SPENT = (QuotaError, CreditError)  # what waiting a minute does not bring back
PLAN_PAGE = {"link": "/plan", "link_text": "See your plan"}
PLAN_ENDED = "Your plan has no more for this answer."
TOO_FEW = "What is left of your plan's tokens for this month is too little for this answer."


@dataclass(frozen=True)
class Left:
    """The scarcest of what is counted; `share` is None where nothing is."""

    words: str
    share: float | None
    resets: str = ""

    def as_json(self) -> dict[str, object]:
        """What the page's script shows."""
        return asdict(self)


@dataclass(frozen=True)
class Meter:
    """One limit on the plan's page."""

    label: str
    words: str
    share: float


def left_of(standing: Standing, now: datetime | None = None) -> Left:
    """What the sidebar says: the month's tokens, or the money where there is no such limit."""
    month = standing.rates.monthly_tokens
    if month.limit is not None:
        part = _share(month)
        day = (now or datetime.now(UTC)) + timedelta(seconds=month.reset_s)
        return Left(
            f"{words.share(part)} of the month's tokens left", part, f"resets {words.day(day)}"
        )
    if standing.prepaid:
        balance = standing.balance
        part = balance.available_micros / max(balance.credited_micros, 1)
        amount = words.money(balance.available_micros, balance.currency)
        return Left(f"{amount} left", min(max(part, 0.0), 1.0))
    return Left("No limit", None)


def spent(error: LimitError, now: datetime | None = None) -> LimitError:
    """The same refusal as the person whose plan it is would have it said."""
    if isinstance(error, QuotaError):
        day = (now or datetime.now(UTC)) + timedelta(seconds=error.retry_after_s or 0)
        again = f" The month begins anew on {words.day(day)}." if error.retry_after_s else ""
        return QuotaError(f"{TOO_FEW}{again}", error.retry_after_s)
    if isinstance(error, CreditError):
        return CreditError("What is left of your credits is too little for this answer.")
    return error


def meters_of(standing: Standing) -> list[Meter]:
    """Every limit that the plan has."""
    rates = standing.rates
    limits = (
        ("Tokens this month", rates.monthly_tokens),
        ("Requests this minute", rates.requests),
        ("Tokens this minute", rates.tokens),
    )
    meters = [_meter(label, one) for label, one in limits if one.limit is not None]
    return [*([_credits(standing)] if standing.prepaid else []), *meters]


def _share(allowance: Allowance) -> float:
    return (allowance.remaining or 0) / max(allowance.limit or 0, 1)


def _meter(label: str, allowance: Allowance) -> Meter:
    counts = f"{words.count(allowance.remaining or 0)} of {words.count(allowance.limit or 0)} left"
    return Meter(label, counts, _share(allowance))


def _credits(standing: Standing) -> Meter:
    left = left_of(standing)
    amount = words.money(standing.balance.available_micros, standing.balance.currency)
    return Meter("Credits", f"{amount} left", left.share or 0.0)
