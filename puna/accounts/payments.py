"""Payments: money that a provider has taken becomes credits, once.

In: a provider.  Out: a link to pay at, and credits when its signed message arrives.
Does not know who the provider is; without one, payments are off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import BigInteger, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts.ledger import Ledger
from puna.accounts.schema import Base, Clock, Moment, new_id, utc_now
from puna.accounts.store import Store
from puna.accounts.tenants import find_tenant
from puna.errors import InvalidParameterError, NotFoundError, PaymentError, RateLimitError

MOST_OPEN = 20  # unpaid checkouts that a tenant may make within OPEN_FOR
OPEN_FOR = timedelta(days=1)


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


@dataclass(frozen=True)
class Due:
    """A checkout as it stands; `paid_at` is None until its money has come."""

    id: str
    tenant_id: str
    provider: str
    amount_micros: int
    currency: str
    created_at: datetime
    paid_at: datetime | None


class PaymentProvider(Protocol):
    """Who takes the money."""

    name: str

    def checkout(self, reference: str, amount_micros: int, currency: str, origin: str) -> Checkout:
        """Make a page at which the amount can be paid; `origin` is where people find Puna."""
        ...

    def event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Paid | None:
        """Read a message; None if it is about something else, PaymentError if it is forged."""
        ...

    def look_up(self, checkout_id: str) -> Paid | None:
        """Ask whether a checkout was paid."""
        ...

    def witness(self, paid: Paid, now: datetime) -> tuple[bytes, Mapping[str, str]] | None:
        """Sign the owner's word that it was paid; None where the provider's own word counts."""
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

    def due(self) -> Due:
        """Return it as plain data."""
        return Due(
            self.id,
            self.tenant_id,
            self.provider,
            self.amount_micros,
            self.currency,
            self.created_at,
            self.paid_at,
        )


class Payments:
    """Checkouts and their credits."""

    def __init__(
        self, store: Store, ledger: Ledger, provider: PaymentProvider | None, clock: Clock = utc_now
    ) -> None:
        self._store, self._ledger, self._clock = store, ledger, clock
        self._provider = provider

    @property
    def provider(self) -> str | None:
        """Who takes the money; None while payments are off."""
        return None if self._provider is None else self._provider.name

    def checkout(self, tenant: str, amount_micros: int, origin: str) -> Checkout:
        """Return where the tenant pays for credits in the currency of its balance.

        `origin` is the address at which people find this server, to come back to.
        """
        if amount_micros <= 0:
            raise InvalidParameterError("an amount to pay is more than 0")
        provider = self._enabled()
        with self._store.read() as session:
            tenant_id = find_tenant(session, tenant).id
        self._refuse_many(tenant_id)
        currency = self._ledger.balance(tenant_id).currency
        made = provider.checkout(new_id("pay"), amount_micros, currency, origin)
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

    def get(self, checkout_id: str) -> Due:
        """Return one checkout; NotFoundError where there is none."""
        with self._store.read() as session:
            row = session.get(CheckoutRow, checkout_id)
            if row is None:
                raise NotFoundError(f"there is no payment {checkout_id!r}")
            return row.due()

    def latest(self, tenant_id: str | None = None, *, limit: int = 50) -> list[Due]:
        """Return the newest checkouts first, of one tenant or of all."""
        query = select(CheckoutRow)
        if tenant_id is not None:
            query = query.where(CheckoutRow.tenant_id == tenant_id)
        order = query.order_by(CheckoutRow.created_at.desc(), CheckoutRow.id.desc())
        with self._store.read() as session:
            return [row.due() for row in session.scalars(order.limit(limit))]

    def receive(self, body: bytes, headers: Mapping[str, str], *, actor: str | None = None) -> bool:
        """Take a provider's message; True if credits came of it, False if it was known before."""
        paid = self._enabled().event(body, headers, self._clock())
        return paid is not None and self._credit(paid, actor)

    def refresh(self, checkout_id: str, *, actor: str | None = None) -> bool:
        """Ask the provider about a checkout whose message was missed; True if credits came."""
        paid = self._enabled().look_up(checkout_id)
        return paid is not None and self._credit(paid, actor)

    def confirm(self, checkout_id: str, *, actor: str) -> bool:
        """Credit a checkout by the owner's word, or ask the provider whose word counts instead.

        False if it was credited before.  Raises PaymentError while it is unpaid.
        """
        provider, due = self._enabled(), self.get(checkout_id)
        if due.paid_at is not None:
            return False
        if due.provider != provider.name:
            raise PaymentError(f"{due.id} is with {due.provider}; payments now go elsewhere")
        paid = Paid(f"by-hand:{due.id}", due.id, due.amount_micros, due.currency)
        word = provider.witness(paid, self._clock())
        if word is not None:
            return self.receive(*word, actor=actor)
        credited = self.refresh(checkout_id, actor=actor)
        if not credited and self.get(checkout_id).paid_at is None:
            raise PaymentError(f"{due.id} has not been paid yet, says {due.provider}")
        return credited

    def _refuse_many(self, tenant_id: str) -> None:
        """Bound what one tenant can pile up here and at the provider."""
        since = self._clock() - OPEN_FOR
        query = (
            select(func.count())
            .select_from(CheckoutRow)
            .where(CheckoutRow.tenant_id == tenant_id, CheckoutRow.paid_at.is_(None))
            .where(CheckoutRow.created_at > since)
        )
        with self._store.read() as session:
            if (session.scalar(query) or 0) >= MOST_OPEN:
                raise RateLimitError(
                    f"{MOST_OPEN} payments were begun today and not made; make one of those, or "
                    "come back tomorrow",
                    OPEN_FOR.total_seconds(),
                )

    def _credit(self, paid: Paid, actor: str | None) -> bool:
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
                actor=actor or row.provider,
            )
            return True

    def _enabled(self) -> PaymentProvider:
        if self._provider is None:
            raise PaymentError(
                "payments are off on this server: its owner turns them on with PUNA_PAYMENTS, "
                "or adds credit"
            )
        return self._provider
