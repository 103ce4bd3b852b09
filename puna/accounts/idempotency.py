"""The same request sent again: answered as the first time, done once.

In: a tenant's idempotency key and the request's body.  Out: the first answer, or a claim.
Does not know what the request does.  A key is kept for a day; its answer, too, unless later
ones of its tenant need the room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import cast

from sqlalchemy import (
    BigInteger,
    CursorResult,
    Index,
    Integer,
    LargeBinary,
    String,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import holder, room
from puna.accounts.schema import Base, Clock, Moment, new_id, utc_now
from puna.accounts.sqlite import overwrite_deleted
from puna.accounts.store import Store
from puna.errors import ConflictError, InvalidParameterError, QuotaError, RateLimitError

KEPT = timedelta(hours=24)
MOST_CHARACTERS = 255
NOBODY = ""  # holds what was begun and given up


@dataclass(frozen=True)
class Recorded:
    """An answer as it was given: status and body; `replayed` if it was given before.

    Without a body it was given, but is not kept.
    """

    status: int
    body: bytes | None
    replayed: bool = False


@dataclass(frozen=True)
class RepeatBounds:
    """How much is kept of one tenant: keys in a day, and bytes of answers."""

    keys: int = 100_000
    n_bytes: int = 64 * 2**20


@dataclass(frozen=True)
class Claim:
    """A request that is ours to answer.

    Its `id` stays with the same request however often it is begun anew, until it is answered:
    what the ledger charges under it, it charges once.
    """

    tenant_id: str
    key: str
    id: str


class IdempotencyRow(Base):
    """One request; its answer follows when it is done."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_room", "tenant_id", "created_at", "n_bytes"),)

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(MOST_CHARACTERS), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)
    holder: Mapped[str] = mapped_column(String(200))
    claim: Mapped[str | None] = mapped_column(String(64))  # None: from before there were claims
    status: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    n_bytes: Mapped[int] = mapped_column(BigInteger)  # of the body

    def is_free(self) -> bool:
        """Whether it was begun by a process that died in the middle, or gave it up."""
        return self.status is None and (self.holder == NOBODY or holder.is_gone(self.holder))

    def answer(self, fingerprint: bytes) -> Recorded:
        """Return what was answered; ConflictError where another request was."""
        if self.fingerprint != fingerprint:
            raise ConflictError("this idempotency key was used for another request; take a new key")
        if self.status is None:
            raise RateLimitError("the same request is being answered; try again in a second", 1.0)
        return Recorded(self.status, self.body, replayed=True)


class Idempotency:
    """Answers that are kept, by tenant and key."""

    def __init__(
        self, store: Store, clock: Clock = utc_now, bounds: RepeatBounds | None = None
    ) -> None:
        self._store, self._clock, self._bounds = store, clock, bounds or RepeatBounds()
        self._holder = holder.this_process()

    def once(
        self, tenant_id: str, key: str, request: bytes, effect: Callable[[], Recorded]
    ) -> Recorded:
        """Run `effect` in one transaction with its answer: both are kept, or neither.

        For what only changes the database.  Sent twice at once, the second waits for the first.
        `request` is method, path and body; another one under the same key is a ConflictError.
        An answer that shows a secret is recorded as it stands: leave the secret out of `body`.
        """
        with self._store.write() as session:
            claim = self._claim(session, tenant_id, key, request)
            if isinstance(claim, Recorded):
                return claim
            recorded = effect()
            self._keep(session, claim, recorded)
            return recorded

    def begin(self, tenant_id: str, key: str, request: bytes) -> Recorded | Claim:
        """Claim the key for a request that takes long; its answer, if it was given before.

        A claim: do it, then `finish` or `abandon`.  RateLimitError while another does it;
        QuotaError where the tenant has used as many keys as are kept.
        """
        with self._store.write() as session:
            return self._claim(session, tenant_id, key, request)

    def finish(self, claim: Claim, answer: Recorded) -> None:
        """Keep the answer for those who send the same again."""
        with self._store.write() as session:
            self._keep(session, claim, answer)

    def abandon(self, claim: Claim) -> None:
        """Let the next one try anew: nothing was answered."""
        with self._store.write() as session:
            _end(session, claim, holder=NOBODY)

    def forget_old(self) -> int:
        """Remove what was kept for a day; returns how many."""
        with self._store.write() as session:
            overwrite_deleted(session)
            old = IdempotencyRow.created_at <= self._clock() - KEPT
            done = session.execute(delete(IdempotencyRow).where(old))
            return cast("CursorResult[tuple[()]]", done).rowcount

    def _claim(
        self, session: Session, tenant_id: str, key: str, request: bytes
    ) -> Recorded | Claim:
        if not (0 < len(key) <= MOST_CHARACTERS and key.isprintable()):
            raise InvalidParameterError(
                f"an idempotency key has 1 to {MOST_CHARACTERS} printable characters"
            )
        fingerprint, claim = sha256(request).digest(), Claim(tenant_id, key, new_id("clm"))
        if self._insert(session, claim, fingerprint):
            self._check_keys(session, tenant_id)
            return claim
        row = session.get(IdempotencyRow, (tenant_id, key), with_for_update=True)
        if row is None:  # forgotten in between
            return self._claim(session, tenant_id, key, request)
        old = row.created_at <= self._clock() - KEPT
        if old or (row.is_free() and row.fingerprint != fingerprint):
            session.delete(row)
            session.flush()
            self._insert(session, claim, fingerprint)
            return claim
        if row.is_free():
            return self._take_over(row)
        return row.answer(fingerprint)

    def _take_over(self, row: IdempotencyRow) -> Claim:
        """Go on where another broke off: what it was charged is not charged again."""
        row.holder, row.claim = self._holder, row.claim or new_id("clm")
        return Claim(row.tenant_id, row.key, row.claim)

    def _insert(self, session: Session, claim: Claim, fingerprint: bytes) -> bool:
        insert = sqlite.insert if self._store.is_sqlite else postgresql.insert
        inserted = session.execute(
            insert(IdempotencyRow)
            .values(
                tenant_id=claim.tenant_id,
                key=claim.key,
                fingerprint=fingerprint,
                created_at=self._clock(),
                holder=self._holder,
                claim=claim.id,
                n_bytes=0,
            )
            .on_conflict_do_nothing()
            .returning(IdempotencyRow.key)
        )
        return inserted.first() is not None

    def _check_keys(self, session: Session, tenant_id: str) -> None:
        mine = IdempotencyRow.tenant_id == tenant_id
        count, oldest = session.execute(
            select(func.count(), func.min(IdempotencyRow.created_at)).where(mine)
        ).one()
        if count > self._bounds.keys:
            raise QuotaError(
                f"{self._bounds.keys:,} idempotency keys are kept for a day, and all are used; "
                "send this without one, or later",
                max(1.0, (oldest + KEPT - self._clock()).total_seconds()),
            )

    def _keep(self, session: Session, claim: Claim, answer: Recorded) -> None:
        """Keep an answer; the oldest make room, but their keys stay: nothing is done twice."""
        n_bytes = len(answer.body or b"")
        _end(session, claim, status=answer.status, body=answer.body, n_bytes=n_bytes)
        mine = IdempotencyRow.tenant_id == claim.tenant_id
        excess = room.total(session, IdempotencyRow.n_bytes, mine) - self._bounds.n_bytes
        oldest_first = (
            select(IdempotencyRow.key, IdempotencyRow.n_bytes)
            .where(mine, IdempotencyRow.n_bytes > 0)
            .order_by(IdempotencyRow.created_at)
        )
        if emptied := room.making_room(session, oldest_first, excess):
            overwrite_deleted(session)
            without = update(IdempotencyRow).where(mine, IdempotencyRow.key.in_(emptied))
            session.execute(without.values(body=None, n_bytes=0))


def _end(session: Session, claim: Claim, **values: object) -> None:
    """Note how it ended, unless it has ended already or is somebody else's by now."""
    row = IdempotencyRow
    session.execute(
        update(row)
        .where(row.tenant_id == claim.tenant_id, row.key == claim.key)
        .where(row.claim == claim.id, row.status.is_(None))
        .values(**values)
    )
