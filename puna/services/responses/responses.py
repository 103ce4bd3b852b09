"""Responses kept for a tenant: found by id, followed back along what they built upon.

In: input items and a response, as plain objects.  Out: the same.  A response
holds its own turn alone, so that deleting it leaves no copy in later ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ForeignKey, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import holder
from puna.accounts.schema import Base, Clock, Moment, RowNumber, utc_now
from puna.accounts.store import Store
from puna.errors import ConflictError, InvalidParameterError, NotFoundError

LONGEST_CHAIN = 1000
LONGEST_HISTORY = 16 * 2**20  # characters of JSON, all in memory at once: more than any context

Item = dict[str, Any]


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

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    items: Mapped[str] = mapped_column(Text)
    response: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Any] = mapped_column(Moment)
    holder: Mapped[str | None] = mapped_column(String(200))  # who makes it, until it has ended

    def kept(self) -> Kept:
        """Return it as plain data."""
        items, response = json.loads(self.items), json.loads(self.response)
        return Kept(items, response, self.holder is None, _has_let_go(self.holder))


class Responses:
    """Every tenant's responses; another tenant's do not exist."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def keep(self, tenant_id: str, kept: Kept) -> None:
        """Keep a turn until it is deleted; one that has not ended is this process's to finish."""
        with self._store.write() as session:
            session.add(
                ResponseRow(
                    id=kept.id,
                    tenant_id=tenant_id,
                    items=_text(kept.items),
                    response=_text(kept.response),
                    created_at=self._clock(),
                    holder=None if kept.ended else holder.this_process(),
                )
            )

    def finish(self, tenant_id: str, kept: Kept) -> None:
        """Put in how a kept turn has ended, unless it was deleted meanwhile."""
        with self._store.write() as session:
            session.execute(
                update(ResponseRow)
                .where(ResponseRow.id == kept.id, ResponseRow.tenant_id == tenant_id)
                .values(response=_text(kept.response), holder=None)
            )

    def get(self, tenant_id: str, response_id: str) -> Kept:
        """Return a turn; NotFoundError where there is none of this tenant."""
        with self._store.read() as session:
            return _find(session, tenant_id, response_id).kept()

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
                row = _find(session, tenant_id, wanted)
                length += len(row.items) + len(row.response)
                if len(turns) == LONGEST_CHAIN or length > LONGEST_HISTORY:
                    raise InvalidParameterError(f"{response_id} builds on too much; begin anew")
                turns.append(row.kept())
                wanted = turns[-1].previous_id
        if not turns[0].ended:
            raise ConflictError(f"{response_id} has not ended; build on it once it has")
        return [item for kept in reversed(turns) for item in kept.turn]

    def delete(self, tenant_id: str, response_id: str) -> None:
        """Delete a turn for good; NotFoundError where there is none of this tenant."""
        with self._store.write() as session:
            _find(session, tenant_id, response_id)
            session.execute(delete(ResponseRow).where(ResponseRow.id == response_id))


def _find(session: Session, tenant_id: str, response_id: str) -> ResponseRow:
    row = session.scalar(
        select(ResponseRow).where(ResponseRow.id == response_id, ResponseRow.tenant_id == tenant_id)
    )
    if row is None:
        raise NotFoundError(f"there is no response {response_id[:64]!r}; it may have been deleted")
    return row


def _has_let_go(maker: str | None) -> bool:
    return maker is not None and (maker == holder.this_process() or holder.is_gone(maker))


def _text(value: object) -> str:
    return json.dumps(value)  # in ASCII: PostgreSQL's text takes no lone surrogate
