"""What admitted requests hold until they are settled.

In: an admission's terms.  Out: rows that end by being removed, once, and become an entry.
A row carries its price, so that a plan's change does not reach requests under way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts.caller import Caller
from puna.accounts.entries import EntryRow, Outcome, day_of
from puna.accounts.plans import Price
from puna.accounts.schema import Base, Moment, new_id
from puna.chat import Usage


class ReservationRow(Base):
    """One request under way; a settled one has no row here, but an entry in the ledger."""

    __tablename__ = "reservations"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    meter_id: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    plan_id: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(300))
    currency: Mapped[str] = mapped_column(String(3))
    reserved_micros: Mapped[int] = mapped_column(BigInteger)
    reserved_tokens: Mapped[int] = mapped_column(BigInteger)
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    input_micros: Mapped[int] = mapped_column(BigInteger)  # for a million tokens
    cached_input_micros: Mapped[int] = mapped_column(BigInteger)
    output_micros: Mapped[int] = mapped_column(BigInteger)
    # What the engine had counted when the lease was last renewed: what a crash is settled to.
    prompt_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cached_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    completion_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    holder: Mapped[str] = mapped_column(String(200))
    renewed_at: Mapped[datetime] = mapped_column(Moment, index=True)
    claim: Mapped[str | None] = mapped_column(String(64))  # of a request that is paid for once

    @classmethod
    def of(cls, caller: Caller, model: str, cost_micros: int, tokens: int) -> Self:
        """Begin one at the price of now; who holds it and since when is the ledger's to say."""
        price = caller.plan.price(model)
        return cls(
            id=new_id("adm"),
            tenant_id=caller.tenant_id,
            meter_id=caller.meter_id,
            key_id=caller.key_id,
            user_id=caller.user_id,
            plan_id=caller.plan.id,
            model=model,
            currency=caller.plan.currency,
            reserved_micros=cost_micros,
            reserved_tokens=tokens,
            tokens_per_minute=caller.plan.tokens_per_minute,
            input_micros=price.input_micros,
            cached_input_micros=price.cached_input_micros,
            output_micros=price.output_micros,
        )

    def entry(self, usage: Usage, cost_micros: int, outcome: Outcome, now: datetime) -> EntryRow:
        """Return the charge that it ends as."""
        return EntryRow(
            tenant_id=self.tenant_id,
            kind="charge",
            amount_micros=-cost_micros,
            currency=self.currency,
            reference=self.id,
            at=now,
            day=day_of(now),
            meter_id=self.meter_id,
            key_id=self.key_id,
            user_id=self.user_id,
            plan_id=self.plan_id,
            model=self.model,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            outcome=outcome,
            claim=self.claim,
        )

    def price(self) -> Price:
        """Return the model's price as it was at admission."""
        return Price(self.input_micros, self.cached_input_micros, self.output_micros)

    def counted(self) -> Usage:
        """Return what was counted when the lease was last renewed."""
        return Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)
