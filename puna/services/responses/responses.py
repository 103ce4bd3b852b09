"""Responses kept for a tenant: found by id, followed back along what they built upon.

In: input items and a response, as plain objects.  Out: the same, for some weeks.  A response
holds its own turn alone, so that deleting it leaves no copy in later ones.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Select,
    String,
    Text,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import holder, room
from puna.accounts.schema import Base, Clock, Moment, RowNumber, utc_now
from puna.accounts.sqlite import overwrite_deleted
from puna.accounts.store import Store
from puna.errors import ConflictError, InvalidParameterError, NotFoundError

LONGEST_CHAIN = 1000
LONGEST_HISTORY = 16 * 2**20  # characters of JSON, all in memory at once: more than any context
AT_ONCE = 500  # old turns that are forgotten in one transaction

Item = dict[str, Any]


@dataclass(frozen=True)
class ResponseBounds:
    """How much is kept of one tenant; what is older or goes beyond, the oldest first, is gone."""

    days: int = 30  # as OpenAI keeps them
    n_bytes: int = 512 * 2**20


@dataclass(frozen=True)
class Kept:
    """One turn: what was sent, and the response with its output."""

    items: list[Item]
    response: dict[str, Any]
    ended: bool = True
    lost: bool = False  # it never ends: who made it is gone, or is this process, which would know

    @property
    def id(self) -> str:
        """The response's own id."""
        return str(self.response["id"])

    @property
    def previous_id(self) -> str | None:
        """The response that it builds upon."""
        previous: str | None = self.response["previous_response_id"]
        return previous

    @property
    def turn(self) -> list[Item]:
        """What was sent and what was answered, in order."""
        return [*self.items, *self.response["output"]]


class ResponseRow(Base):
    """One turn; JSON that is only ever read whole."""

    __tablename__ = "responses"
    __table_args__ = (Index("ix_responses_room", "tenant_id", "number", "n_bytes"),)

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    items: Mapped[str] = mapped_column(Text)
    response: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Any] = mapped_column(Moment)
    holder: Mapped[str | None] = mapped_column(String(200))  # who makes it, until it has ended
    cancelled: Mapped[bool] = mapped_column(default=False)  # its holder is to end it
    n_bytes: Mapped[int] = mapped_column(BigInteger)

    def kept(self) -> Kept:
        """Return it as plain data."""
        items, response = json.loads(self.items), json.loads(self.response)
        return Kept(items, response, self.holder is None, _has_let_go(self.holder))


class Responses:
    """Every tenant's responses; another tenant's do not exist."""

    def __init__(
        self, store: Store, clock: Clock = utc_now, bounds: ResponseBounds | None = None
    ) -> None:
        self._store, self._clock = store, clock
        self._bounds = bounds or ResponseBounds()

    def keep(self, tenant_id: str, kept: Kept) -> None:
        """Keep a turn; one that has not ended is this process's to finish."""
        items, response = _text(kept.items), _text(kept.response)
        with self._store.write() as session:
            session.add(
                ResponseRow(
                    id=kept.id,
                    tenant_id=tenant_id,
                    items=items,
                    response=response,
                    created_at=self._clock(),
                    holder=None if kept.ended else holder.this_process(),
                    n_bytes=len(items) + len(response),
                )
            )
            session.flush()
            self._make_room(session, tenant_id, kept.id)

    def finish(self, tenant_id: str, kept: Kept) -> None:
        """Put in how a kept turn has ended, unless it was deleted meanwhile."""
        response = _text(kept.response)
        with self._store.write() as session:
            session.execute(
                update(ResponseRow)
                .where(ResponseRow.id == kept.id, ResponseRow.tenant_id == tenant_id)
                .values(
                    response=response,
                    holder=None,
                    n_bytes=func.length(ResponseRow.items) + len(response),
                )
            )
            self._make_room(session, tenant_id, kept.id)

    def get(self, tenant_id: str, response_id: str) -> Kept:
        """Return a turn; NotFoundError where there is none of this tenant."""
        with self._store.read() as session:
            return self._find(session, tenant_id, response_id).kept()

    def history(self, tenant_id: str, response_id: str) -> list[Item]:
        """Return all items that led to a response and its own, oldest first.

        NotFoundError where one on the way was deleted; ConflictError where the last has not
        ended; InvalidParameterError for a chain that is too long, by its turns or its words.
        """
        turns: list[Kept] = []
        length = 0
        with self._store.read() as session:
            wanted: str | None = response_id
            while wanted is not None:
                row = self._find(session, tenant_id, wanted)
                length += len(row.items) + len(row.response)
                if len(turns) == LONGEST_CHAIN or length > LONGEST_HISTORY:
                    raise InvalidParameterError(f"{response_id} builds on too much; begin anew")
                turns.append(row.kept())
                wanted = turns[-1].previous_id
        if not turns[0].ended:
            raise ConflictError(f"{response_id} has not ended; build on it once it has")
        return [item for kept in reversed(turns) for item in kept.turn]

    def cancel(self, tenant_id: str, response_id: str) -> Kept:
        """Have whoever makes a turn end it soon; return it as it is now."""
        with self._store.write() as session:
            row = self._find(session, tenant_id, response_id)
            row.cancelled = row.holder is not None
            return row.kept()

    def unwanted(self, response_ids: Collection[str]) -> set[str]:
        """Return those of these turns, made here, that are to end: cancelled, or deleted."""
        query = select(ResponseRow.id).where(
            ResponseRow.id.in_(response_ids), ResponseRow.cancelled.is_(False)
        )
        with self._store.read() as session:
            return set(response_ids) - set(session.scalars(query))

    def delete(self, tenant_id: str, response_id: str) -> None:
        """Delete a turn for good; NotFoundError where there is none of this tenant."""
        with self._store.write() as session:
            self._find(session, tenant_id, response_id)
            overwrite_deleted(session)
            session.execute(delete(ResponseRow).where(ResponseRow.id == response_id))

    def forget_old(self) -> int:
        """Delete what is too old, in short transactions; return how many."""
        old = select(ResponseRow.number).where(ResponseRow.created_at <= self._too_old())
        forgotten = 0
        while numbers := self._some(old):
            with self._store.write() as session:
                overwrite_deleted(session)
                session.execute(delete(ResponseRow).where(ResponseRow.number.in_(numbers)))
            forgotten += len(numbers)
        return forgotten

    def _some(self, query: Select[int]) -> Sequence[int]:
        with self._store.read() as session:
            return session.scalars(query.limit(AT_ONCE)).all()

    def _find(self, session: Session, tenant_id: str, response_id: str) -> ResponseRow:
        query = select(ResponseRow).where(
            ResponseRow.id == response_id,
            ResponseRow.tenant_id == tenant_id,
            ResponseRow.created_at > self._too_old(),
        )
        row = session.scalar(query)
        if row is None:
            raise NotFoundError(
                f"there is no response {response_id[:64]!r}; it may have been deleted, "
                f"and none is kept for more than {self._bounds.days} days"
            )
        return row

    def _make_room(self, session: Session, tenant_id: str, newest: str) -> None:
        """Delete the tenant's oldest turns beyond the bound, but none that is being made."""
        mine = ResponseRow.tenant_id == tenant_id
        excess = room.total(session, ResponseRow.n_bytes, mine) - self._bounds.n_bytes
        oldest_first = (
            select(ResponseRow.number, ResponseRow.n_bytes)
            .where(mine, ResponseRow.holder.is_(None), ResponseRow.id != newest)
            .order_by(ResponseRow.number)
        )
        if gone := room.making_room(session, oldest_first, excess):
            overwrite_deleted(session)
            session.execute(delete(ResponseRow).where(ResponseRow.number.in_(gone)))

    def _too_old(self) -> datetime:
        return self._clock() - timedelta(days=self._bounds.days)


def _has_let_go(maker: str | None) -> bool:
    return maker is not None and (maker == holder.this_process() or holder.is_gone(maker))


def _text(value: object) -> str:
    return json.dumps(value)  # in ASCII: PostgreSQL's text takes no lone surrogate
