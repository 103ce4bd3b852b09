"""The same request sent again: answered as the first time, done once.

In: a tenant's idempotency key and the request's body.  Out: the first answer.
Does not know what the request does.  Kept for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import cast

from sqlalchemy import CursorResult, Integer, LargeBinary, String, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import holder
from puna.accounts.schema import Base, Clock, Moment, utc_now
from puna.accounts.store import Store
from puna.errors import ConflictError, InvalidParameterError, RateLimitError

KEPT = timedelta(hours=24)
MOST_CHARACTERS = 255


@dataclass(frozen=True)
class Recorded:
    """An answer as it was given: status and body; `replayed` if it was given before."""

    status: int
    body: bytes
    replayed: bool = False


class IdempotencyRow(Base):
    """One request; its answer follows when it is done."""

    __tablename__ = "idempotency"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(MOST_CHARACTERS), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)
    holder: Mapped[str] = mapped_column(String(200))
    status: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


class Idempotency:
    """Answers that are kept, by tenant and key."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock
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
            recorded = self._claim(session, tenant_id, key, request)
            if recorded is None:
                recorded = effect()
                self._record(session, tenant_id, key, recorded)
            return recorded

    def begin(self, tenant_id: str, key: str, request: bytes) -> Recorded | None:
        """Claim the key for a request that takes long; its answer, if it was given before.

        None: do it, then `finish` or `abandon`.  RateLimitError while another does it.
        """
        with self._store.write() as session:
            return self._claim(session, tenant_id, key, request)

    def finish(self, tenant_id: str, key: str, answer: Recorded) -> None:
        """Keep the answer for those who send the same again."""
        with self._store.write() as session:
            self._record(session, tenant_id, key, answer)

    def abandon(self, tenant_id: str, key: str) -> None:
        """Let the next one try anew: nothing was done."""
        with self._store.write() as session:
            session.execute(
                delete(IdempotencyRow)
                .where(IdempotencyRow.tenant_id == tenant_id, IdempotencyRow.key == key)
                .where(IdempotencyRow.status.is_(None))
            )

    def forget_old(self) -> int:
        """Remove what was kept for a day; returns how many."""
        with self._store.write() as session:
            old = IdempotencyRow.created_at <= self._clock() - KEPT
            done = session.execute(delete(IdempotencyRow).where(old))
            return cast("CursorResult[tuple[()]]", done).rowcount

    def _claim(self, session: Session, tenant_id: str, key: str, request: bytes) -> Recorded | None:
        if not (0 < len(key) <= MOST_CHARACTERS and key.isprintable()):
            raise InvalidParameterError(
                f"an idempotency key has 1 to {MOST_CHARACTERS} printable characters"
            )
        fingerprint = sha256(request).digest()
        if self._insert(session, tenant_id, key, fingerprint):
            return None
        row = session.get(IdempotencyRow, (tenant_id, key), with_for_update=True)
        if row is None or row.created_at <= self._clock() - KEPT or self._was_dropped(row):
            if row is not None:
                session.delete(row)
                session.flush()
            self._insert(session, tenant_id, key, fingerprint)
            return None
        return _answer(row, fingerprint)

    def _insert(self, session: Session, tenant_id: str, key: str, fingerprint: bytes) -> bool:
        insert = sqlite.insert if self._store.is_sqlite else postgresql.insert
        inserted = session.execute(
            insert(IdempotencyRow)
            .values(
                tenant_id=tenant_id,
                key=key,
                fingerprint=fingerprint,
                created_at=self._clock(),
                holder=self._holder,
            )
            .on_conflict_do_nothing()
            .returning(IdempotencyRow.key)
        )
        return inserted.first() is not None

    def _was_dropped(self, row: IdempotencyRow) -> bool:
        """A process that died in the middle left the claim behind."""
        return row.status is None and holder.is_gone(row.holder)

    def _record(self, session: Session, tenant_id: str, key: str, answer: Recorded) -> None:
        session.execute(
            update(IdempotencyRow)
            .where(IdempotencyRow.tenant_id == tenant_id, IdempotencyRow.key == key)
            .values(status=answer.status, body=answer.body)
        )


def _answer(row: IdempotencyRow, fingerprint: bytes) -> Recorded:
    if row.fingerprint != fingerprint:
        raise ConflictError("this idempotency key was used for another request; take a new key")
    if row.status is None or row.body is None:
        raise RateLimitError("the same request is being answered; try again in a second", 1.0)
    return Recorded(row.status, row.body, replayed=True)
