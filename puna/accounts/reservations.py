"""What admitted requests hold until they are settled.

In: an admission's terms.  Out: rows that end by being removed, once.
A row carries its price, so that a plan's change does not reach requests under way.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts.plans import Price
from puna.accounts.schema import Base, Moment
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

    def price(self) -> Price:
        """Return the model's price as it was at admission."""
        return Price(self.input_micros, self.cached_input_micros, self.output_micros)

    def counted(self) -> Usage:
        """Return what was counted when the lease was last renewed."""
        return Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)
