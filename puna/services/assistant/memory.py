"""Memory: short facts about a person, which they see, change and switch off.

In: an owner and facts.  Out: facts, and the lines of a prompt that hold them.
Does not know the model: what it proposes waits until the person says yes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Boolean, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, Clock, Moment, RowNumber, new_id, utc_now
from puna.accounts.sqlite import overwrite_deleted
from puna.accounts.store import Store
from puna.errors import InvalidParameterError
from puna.services.assistant.owner import Owned, Owner, found, own
from puna.services.assistant.text import writable

LONGEST_FACT = 2_000  # characters
MOST_FACTS = 500  # of one person
INTRODUCTION = "What the person told you to remember:"

State = Literal["kept", "proposed"]


@dataclass(frozen=True)
class Fact:
    """One thing to remember; a proposed one is the model's wish, and enters no prompt."""

    id: str
    text: str
    state: State
    enabled: bool
    created_at: datetime


class FactRow(Owned, Base):
    """One fact."""

    __tablename__ = "assistant_facts"

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    text: Mapped[str] = mapped_column(String(LONGEST_FACT))
    state: Mapped[str] = mapped_column(String(10))
    enabled: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(Moment)

    def fact(self) -> Fact:
        """Return it as plain data."""
        return Fact(self.id, self.text, cast(State, self.state), self.enabled, self.created_at)


class SwitchRow(Base):
    """Whether a person's memory is used at all; no row means that it is."""

    __tablename__ = "assistant_memory_switches"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    enabled: Mapped[bool] = mapped_column(Boolean)


class Memory:
    """Every person's facts."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def list(self, owner: Owner) -> list[Fact]:
        """Return what is kept and proposed, oldest first."""
        with self._store.read() as session:
            rows = session.scalars(own(select(FactRow), FactRow, owner).order_by(FactRow.number))
            return [row.fact() for row in rows]

    def add(self, owner: Owner, text: str) -> Fact:
        """Remember what the person wrote."""
        return self._add(owner, text, "kept")

    def propose(self, owner: Owner, text: str) -> Fact:
        """Note what the model wishes to remember; nothing comes of it without the person's yes."""
        return self._add(owner, text, "proposed")

    def confirm(self, owner: Owner, fact_id: str) -> Fact:
        """Keep what was proposed."""
        with self._store.write() as session:
            row = _find(session, owner, fact_id)
            row.state = "kept"
        return row.fact()

    def change(
        self, owner: Owner, fact_id: str, *, text: str | None = None, enabled: bool | None = None
    ) -> Fact:
        """Write a fact anew, or switch it on or off."""
        with self._store.write() as session:
            row = _find(session, owner, fact_id)
            if text is not None:
                row.text = _checked(text)
            if enabled is not None:
                row.enabled = enabled
        return row.fact()

    def delete(self, owner: Owner, fact_id: str) -> None:
        """Forget a fact for good; a proposal is refused in the same way."""
        with self._store.write() as session:
            overwrite_deleted(session)
            session.delete(_find(session, owner, fact_id))

    def is_enabled(self, owner: Owner) -> bool:
        """Say whether this person's memory is used at all."""
        with self._store.read() as session:
            row = session.get(SwitchRow, owner.user_id)
            return row is None or row.enabled

    def set_enabled(self, owner: Owner, enabled: bool) -> None:
        """Use the memory, or leave it alone; what stands in it stays."""
        with self._store.write() as session:
            session.merge(SwitchRow(user_id=owner.user_id, enabled=enabled))

    def prompt_text(self, owner: Owner, count: Callable[[str], int], budget: int) -> str:
        """Return the facts as a prompt has them, the youngest that fit into `budget` tokens."""
        if not self.is_enabled(owner):
            return ""
        facts = [f"- {f.text}" for f in self.list(owner) if f.enabled and f.state == "kept"]
        kept = _youngest(facts, count, budget - count(INTRODUCTION))
        return "\n".join([INTRODUCTION, *kept]) if kept else ""

    def _add(self, owner: Owner, text: str, state: State) -> Fact:
        text = _checked(text)
        with self._store.write() as session:
            rows = session.scalars(own(select(FactRow), FactRow, owner)).all()
            same = [row.fact() for row in rows if row.text.casefold() == text.casefold()]
            if same:
                return same[0]
            if len(rows) >= MOST_FACTS:
                raise InvalidParameterError(f"there may be {MOST_FACTS} facts; delete one")
            new = FactRow(
                id=new_id("fct"),
                tenant_id=owner.tenant_id,
                user_id=owner.user_id,
                text=text,
                state=state,
                enabled=True,
                created_at=self._clock(),
            )
            session.add(new)
        return new.fact()


def _find(session: Session, owner: Owner, fact_id: str) -> FactRow:
    query = own(select(FactRow), FactRow, owner).where(FactRow.id == fact_id)
    row: FactRow = found(session, query, "fact", fact_id)
    return row


def _checked(text: str) -> str:
    """A fact is one line, so that it cannot pass for another part of the prompt."""
    text = " ".join(writable(text).split())
    if not 1 <= len(text) <= LONGEST_FACT:
        raise InvalidParameterError(f"a fact has 1 to {LONGEST_FACT:,} characters")
    return text


def _youngest(facts: Sequence[str], count: Callable[[str], int], budget: int) -> list[str]:
    kept: list[str] = []
    for fact in reversed(facts):
        budget -= count(fact) + 1
        if budget < 0:
            break
        kept.insert(0, fact)
    return kept
