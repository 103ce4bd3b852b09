"""A tenant's prepaid money: credited, spent, reserved.

In: micro-units to reserve or to settle.  Out: one row that never overspends.
The ledger's entries are the truth; this row is their sum, kept for one atomic question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base


@dataclass(frozen=True)
class Balance:
    """Money in micro-units; `available_micros` is what a request may still reserve."""

    currency: str
    credited_micros: int
    spent_micros: int
    reserved_micros: int

    @property
    def available_micros(self) -> int:
        """Credits that are neither spent nor reserved; never below zero."""
        return self.credited_micros - self.spent_micros - self.reserved_micros


class BalanceRow(Base):
    """One tenant's money."""

    __tablename__ = "balances"
    __table_args__ = (
        CheckConstraint("spent_micros >= 0", "spent"),
        CheckConstraint("reserved_micros >= 0", "reserved"),
        CheckConstraint("spent_micros + reserved_micros <= credited_micros", "covered"),
    )

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    credited_micros: Mapped[int] = mapped_column(BigInteger)
    spent_micros: Mapped[int] = mapped_column(BigInteger)
    reserved_micros: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def empty(cls, tenant_id: str, currency: str) -> Self:
        """Return a balance of nothing."""
        return cls(
            tenant_id=tenant_id,
            currency=currency,
            credited_micros=0,
            spent_micros=0,
            reserved_micros=0,
        )

    def balance(self) -> Balance:
        """Return what the row says."""
        return Balance(self.currency, self.credited_micros, self.spent_micros, self.reserved_micros)


def reserve(session: Session, tenant_id: str, micros: int) -> bool:
    """Set money aside by one statement; False, and nothing changed, if it is not there."""
    row = BalanceRow
    taken = session.execute(
        update(row)
        .where(row.tenant_id == tenant_id)
        .where(row.spent_micros + row.reserved_micros + micros <= row.credited_micros)
        .values(reserved_micros=row.reserved_micros + micros)
        .returning(row.tenant_id),
        execution_options={"synchronize_session": False},
    )
    return taken.first() is not None


def settle(session: Session, tenant_id: str, reserved_micros: int, cost_micros: int) -> None:
    """Give a reservation back and spend what the request cost, which is no more than that."""
    assert 0 <= cost_micros <= reserved_micros, "a charge stays within its reservation"
    row = BalanceRow
    session.execute(
        update(row)
        .where(row.tenant_id == tenant_id)
        .values(
            reserved_micros=row.reserved_micros - reserved_micros,
            spent_micros=row.spent_micros + cost_micros,
        ),
        execution_options={"synchronize_session": False},
    )


def credit(session: Session, tenant_id: str, micros: int) -> None:
    """Add money, or take back what is neither spent nor reserved (`micros` < 0)."""
    row = BalanceRow
    session.execute(
        update(row)
        .where(row.tenant_id == tenant_id)
        .values(credited_micros=row.credited_micros + micros),
        execution_options={"synchronize_session": False},
    )
