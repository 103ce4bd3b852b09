"""Who is signed in: a random token in a browser's cookie, its hash in the database.

In: a user, later the token.  Out: the user again, until it is idle or old.
Does not know cookies.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, LargeBinary, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts.caller import SCOPES, USUAL_SCOPES, Caller
from puna.accounts.plans import PlanRow
from puna.accounts.schema import Base, Clock, Moment, utc_now
from puna.accounts.secret import hashed
from puna.accounts.store import Store
from puna.accounts.tenants import TenantRow
from puna.accounts.users import User, UserRow
from puna.errors import AuthenticationError

IDLE = timedelta(hours=12)
OLDEST = timedelta(days=7)
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SignedIn:
    """A person, and what they may ask as."""

    user: User
    caller: Caller


class SessionRow(Base):
    """One browser that is signed in."""

    __tablename__ = "sessions"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    last_seen_at: Mapped[datetime] = mapped_column(Moment)


class Sessions:
    """The browsers that are signed in."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def create(self, user_id: str) -> str:
        """Sign a person in; returns the token, which is never seen again."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._store.write() as session:
            session.add(
                SessionRow(
                    token_hash=hashed(token), user_id=user_id, created_at=now, last_seen_at=now
                )
            )
        return token

    def verify(self, token: str) -> SignedIn:
        """Return who this is; AuthenticationError if the session is unknown or over."""
        now = self._clock()
        query = (
            select(SessionRow, UserRow, TenantRow, PlanRow)
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .join(TenantRow, TenantRow.id == UserRow.tenant_id)
            .join(PlanRow, PlanRow.id == TenantRow.plan_id)
            .where(SessionRow.token_hash == hashed(token))
            .where(SessionRow.last_seen_at > now - IDLE, SessionRow.created_at > now - OLDEST)
            .where(UserRow.disabled_at.is_(None), TenantRow.disabled_at.is_(None))
        )
        with self._store.read() as session:
            found = session.execute(query).first()
        if found is None:
            raise AuthenticationError("nobody is signed in; sign in again")
        if now - found[0].last_seen_at >= USE_NOTED_EVERY:
            self._note_use(found[0].token_hash, now)
        return signed_in(found[1].user(), found[3])

    def rotate(self, token: str) -> str:
        """Give a session a new token, after which the old one is nobody's."""
        fresh = secrets.token_urlsafe(32)
        with self._store.write() as session:
            done = session.execute(
                update(SessionRow)
                .where(SessionRow.token_hash == hashed(token))
                .values(token_hash=hashed(fresh))
                .returning(SessionRow.user_id),
                execution_options={"synchronize_session": False},
            )
            if done.first() is None:
                raise AuthenticationError("nobody is signed in; sign in again")
        return fresh

    def end(self, token: str) -> None:
        """Sign this browser out."""
        with self._store.write() as session:
            session.execute(delete(SessionRow).where(SessionRow.token_hash == hashed(token)))

    def end_all(self, user_id: str) -> None:
        """Sign a person out everywhere, as after a change of the password."""
        with self._store.write() as session:
            session.execute(delete(SessionRow).where(SessionRow.user_id == user_id))

    def forget_old(self) -> None:
        """Remove sessions that are over."""
        now = self._clock()
        over = (SessionRow.last_seen_at <= now - IDLE) | (SessionRow.created_at <= now - OLDEST)
        with self._store.write() as session:
            session.execute(delete(SessionRow).where(over))

    def _note_use(self, token_hash: bytes, now: datetime) -> None:
        with self._store.write() as session:
            session.execute(
                update(SessionRow)
                .where(SessionRow.token_hash == token_hash)
                .values(last_seen_at=now)
            )


def signed_in(user: User, plan: PlanRow) -> SignedIn:
    """Return a person with what their role and their tenant's plan let them ask."""
    scopes = SCOPES if user.role == "owner" else USUAL_SCOPES
    caller = Caller(user.tenant_id, None, user.id, scopes, plan.terms(), user.tenant_id)
    return SignedIn(user, caller)
