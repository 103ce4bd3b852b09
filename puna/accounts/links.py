"""One-time links: how the owner's account and everyone else's is made.

In: who is invited.  Out: a token for one use within its time; then a user.
Knows no addresses of pages: the token is what a link carries.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ForeignKey, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import audit
from puna.accounts.schema import Base, Clock, Moment, utc_now
from puna.accounts.secret import hashed
from puna.accounts.store import Store
from puna.accounts.tenants import OWNER_TENANT, find_tenant
from puna.accounts.users import ROLES, Role, User, UserRow, Users
from puna.errors import AuthenticationError, InvalidParameterError, NotFoundError

OWNERS_TIME = timedelta(hours=24)
GUESTS_TIME = timedelta(days=7)


class LinkRow(Base):
    """One invitation that nobody has used."""

    __tablename__ = "links"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    role: Mapped[str] = mapped_column(String(10))
    expires_at: Mapped[datetime] = mapped_column(Moment)


@dataclass(frozen=True)
class Invitation:
    """What may be shown of a link that nobody has used: all but its token."""

    id: str
    tenant_id: str
    role: Role
    expires_at: datetime


class Links:
    """Invitations."""

    def __init__(self, store: Store, users: Users, clock: Clock = utc_now) -> None:
        self._store, self._users, self._clock = store, users, clock

    def for_owner(self) -> str | None:
        """Return a fresh token for the owner's account; None once there is an owner.

        An earlier one that nobody used is void from then on.
        """
        with self._store.write() as session:
            if session.scalar(select(UserRow.id).where(UserRow.role == "owner").limit(1)):
                return None
            session.execute(delete(LinkRow).where(LinkRow.role == "owner"))
            return self._add(session, OWNER_TENANT, "owner", OWNERS_TIME)

    def invite(self, tenant: str, role: Role = "member", *, actor: str = "system") -> str:
        """Return a token with which one person may join a tenant, for a week."""
        if role not in ROLES:
            raise InvalidParameterError(f"a role is one of {', '.join(ROLES)}, not {role!r}")
        with self._store.write() as session:
            tenant_id = find_tenant(session, tenant).id
            audit.note(session, self._clock(), actor, "user.invite", tenant_id, role=role)
            return self._add(session, tenant_id, role, GUESTS_TIME)

    def pending(self) -> list[Invitation]:
        """Return the invitations that nobody has used and that are not too old."""
        query = select(LinkRow).where(LinkRow.expires_at > self._clock())
        with self._store.read() as session:
            rows = session.scalars(query.order_by(LinkRow.expires_at))
            return [_invitation(row) for row in rows]

    def withdraw(self, invitation_id: str, *, actor: str = "system") -> None:
        """Make a link worthless; NotFoundError if it was used, is too old, or never was."""
        with self._store.write() as session:
            rows = session.scalars(select(LinkRow).where(LinkRow.expires_at > self._clock()))
            row = next((row for row in rows if _invitation(row).id == invitation_id), None)
            if row is None:
                raise NotFoundError(
                    f"no invitation {invitation_id!r} is pending; `puna users invitations` lists "
                    "them"
                )
            session.delete(row)
            role, tenant_id = row.role, row.tenant_id
            audit.note(session, self._clock(), actor, "user.withdraw", tenant_id, role=role)

    def check(self, token: str) -> Role:
        """Return the role that the link gives; AuthenticationError if it is used or old."""
        with self._store.read() as session:
            return cast(Role, self._find(session, token, to_use=False).role)

    def accept(self, token: str, email: str, password: str, name: str = "") -> User:
        """Make the account; the link is used up if, and only if, that succeeds."""
        with self._store.write() as session:
            row = self._find(session, token, to_use=True)
            role = cast(Role, row.role)
            session.delete(row)
            session.flush()
            return self._users.create(
                email, password, name=name, tenant=row.tenant_id, role=role, actor="link"
            )

    def _add(self, session: Session, tenant_id: str, role: Role, time: timedelta) -> str:
        token = secrets.token_urlsafe(32)
        session.add(
            LinkRow(
                token_hash=hashed(token),
                tenant_id=tenant_id,
                role=role,
                expires_at=self._clock() + time,
            )
        )
        return token

    def _find(self, session: Session, token: str, *, to_use: bool) -> LinkRow:
        row = session.get(LinkRow, hashed(token), with_for_update=to_use)
        if row is None or row.expires_at <= self._clock():
            raise AuthenticationError("this link was used or is too old; ask for a new one")
        return row


def _invitation(row: LinkRow) -> Invitation:
    """Its name is the beginning of its token's hash, by which nobody finds the token."""
    name = f"inv_{row.token_hash.hex()[:16]}"
    return Invitation(name, row.tenant_id, cast(Role, row.role), row.expires_at)
