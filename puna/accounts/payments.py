"""Payments: money that a provider has taken becomes credits, once.

In: a provider.  Out: a link to pay at, and credits when its signed message arrives.
Does not know who the provider is; without one, payments are off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts.ledger import Ledger
from puna.accounts.schema import Base, Clock, Moment, new_id, utc_now
from puna.accounts.store import Store
from puna.accounts.tenants import find_tenant
from puna.errors import InvalidParameterError, PaymentError


@dataclass(frozen=True)
class Checkout:
    """A place to pay: the page's address, and the provider's name for it."""

    id: str
    url: str


@dataclass(frozen=True)
class Paid:
    """A provider's word that a checkout was paid."""

    event_id: str
    checkout_id: str
    amount_micros: int
    currency: str


class PaymentProvider(Protocol):
    """Who takes the money."""

    name: str

    def checkout(self, reference: str, amount_micros: int, currency: str) -> Checkout:
        """Make a page at which the amount can be paid."""
        ...

    def event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Paid | None:
        """Read a message; None if it is about something else, PaymentError if it is forged."""
        ...

    def look_up(self, checkout_id: str) -> Paid | None:
        """Ask whether a checkout was paid."""
        ...


class CheckoutRow(Base):
    """One checkout."""

    __tablename__ = "checkouts"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    provider: Mapped[str] = mapped_column(String(30))
    amount_micros: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[datetime] = mapped_column(Moment)
    paid_at: Mapped[datetime | None] = mapped_column(Moment)


class Payments:
    """Checkouts and their credits."""

    def __init__(
        self, store: Store, ledger: Ledger, provider: PaymentProvider | None, clock: Clock = utc_now
    ) -> None:
        self._store, self._ledger, self._clock = store, ledger, clock
        self._provider = provider

    def checkout(self, tenant: str, amount_micros: int) -> Checkout:
        """Return where the tenant pays for credits in the currency of its balance."""
        if amount_micros <= 0:
            raise InvalidParameterError("an amount to pay is more than 0")
        provider = self._enabled()
        with self._store.read() as session:
            tenant_id = find_tenant(session, tenant).id
        currency = self._ledger.balance(tenant_id).currency
        made = provider.checkout(new_id("pay"), amount_micros, currency)
        with self._store.write() as session:
            session.add(
                CheckoutRow(
                    id=made.id,
                    tenant_id=tenant_id,
                    provider=provider.name,
                    amount_micros=amount_micros,
                    currency=currency,
                    created_at=self._clock(),
                )
            )
        return made

    def receive(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Take a provider's message; True if credits came of it, False if it was known before."""
        paid = self._enabled().event(body, headers, self._clock())
        return paid is not None and self._credit(paid)

    def refresh(self, checkout_id: str) -> bool:
        """Ask the provider about a checkout whose message was missed; True if credits came."""
        paid = self._enabled().look_up(checkout_id)
        return paid is not None and self._credit(paid)

    def _credit(self, paid: Paid) -> bool:
        with self._store.write() as session:
            row = session.get(CheckoutRow, paid.checkout_id, with_for_update=True)
            if row is None:
                raise PaymentError(f"there is no checkout {paid.checkout_id!r}")
            if (paid.amount_micros, paid.currency) != (row.amount_micros, row.currency):
                raise PaymentError(f"the checkout {row.id!r} was for another amount")
            if row.paid_at is not None:
                return False
            row.paid_at = self._clock()
            self._ledger.credit(
                row.tenant_id,
                paid.amount_micros,
                currency=paid.currency,
                reference=f"{row.provider}:{row.id}",
                note=f"paid through {row.provider}",
                actor=row.provider,
            )
            return True

    def _enabled(self) -> PaymentProvider:
        if self._provider is None:
            raise PaymentError("payments are off on this machine; its owner adds credits")
        return self._provider
