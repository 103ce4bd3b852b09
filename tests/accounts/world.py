"""A small world for tests: a clock to be set, a tenant who pays, a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from puna.accounts import Caller, Keys, Ledger, Plan, Plans, Price, Store, Tenants
from puna.accounts.balance import BalanceRow
from puna.accounts.entries import EntryRow
from puna.accounts.rates import MeterRow
from puna.accounts.reservations import ReservationRow

# For a million tokens: 1 USD, 0.25 USD, 4 USD; so a token of an answer costs 4 micro-units.
PRICE = Price(1_000_000, 250_000, 4_000_000)


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class World:
    """Everything that a request meets."""

    def __init__(self, store: Store, clock: ManualClock, **terms: Any) -> None:
        self.store, self.clock = store, clock
        self.plans, self.tenants = Plans(store, clock), Tenants(store, clock)
        self.keys, self.ledger = Keys(store, clock), Ledger(store, clock)
        self.plans.create(Plan("paid", "Paid", prices={"*": PRICE}, **terms))
        self.tenant = self.tenants.create("acme", "paid")
        self.key = self.keys.create("laptop", "acme")

    @property
    def caller(self) -> Caller:
        return self.keys.verify(self.key.secret)

    def limit(self, **terms: Any) -> Caller:
        """Give the plan other terms; returns the caller that now has them."""
        self.plans.change("paid", **terms)
        return self.caller


def check_books(store: Store, tenant_id: str | None = None) -> None:
    """Balances are the sums of their entries, and nothing is reserved while nothing runs.

    Of one tenant with a meter of its own, or of all.
    """

    def rows(row: Any, column: Any) -> Any:
        return select(row) if tenant_id is None else select(row).where(column == tenant_id)

    sums = rows(EntryRow.tenant_id, EntryRow.tenant_id).add_columns(
        EntryRow.kind, func.sum(EntryRow.amount_micros)
    )
    with store.read() as session:
        assert session.scalars(rows(ReservationRow.id, ReservationRow.tenant_id)).all() == []
        summed = {
            (tenant, kind): int(micros)
            for tenant, kind, micros in session.execute(
                sums.group_by(EntryRow.tenant_id, EntryRow.kind)
            )
        }
        for balance in session.scalars(rows(BalanceRow, BalanceRow.tenant_id)):
            assert balance.reserved_micros == 0
            assert balance.credited_micros == summed.get((balance.tenant_id, "credit"), 0)
            assert -balance.spent_micros == summed.get((balance.tenant_id, "charge"), 0)
        for meter in session.scalars(rows(MeterRow, MeterRow.id)):
            assert (meter.reserved_tokens, meter.active_requests) == (0, 0)
