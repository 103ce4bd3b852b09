"""API keys: made once, shown once, stored as a hash.

In: a name and a tenant; later the secret again.  Out: the caller that it stands for.
Keeps no cache: a revoked key is refused at its next use.
"""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from puna.accounts import audit
from puna.accounts.caller import USUAL_SCOPES, Caller, check_scopes
from puna.accounts.plans import PlanRow, find_row
from puna.accounts.rates import MeterRow
from puna.accounts.schema import Base, Clock, Moment, new_id, utc_now
from puna.accounts.secret import hashed
from puna.accounts.store import Store
from puna.accounts.tenants import OWNER_TENANT, TenantRow, check_currency, find_tenant
from puna.accounts.users import UserRow, find_user
from puna.errors import AuthenticationError, InvalidParameterError, NotFoundError

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_DIGITS = 43  # 256 bits
CHECK_DIGITS = 6  # a CRC-32, by which scanners of leaked secrets tell a key from its like
SECRET = re.compile(r"puna_sk_[a-z0-9]{16}_[0-9A-Za-z]{43}([0-9A-Za-z]{6})", re.ASCII)
USE_NOTED_EVERY = timedelta(minutes=1)
REFUSED = "this API key is not valid; make one with `puna keys create NAME`"


@dataclass(frozen=True)
class Key:
    """What may be shown of a key: all but its secret."""

    id: str
    name: str
    tenant_id: str
    user_id: str | None  # whose conversations it opens; None: nobody's
    plan_id: str | None  # None: the tenant's plan
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class NewKey:
    """A key at its creation; the secret is never seen again."""

    key: Key
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.key.id}, secret=***)"


@dataclass(frozen=True)
class PersonsKey:
    """A key that opens what is a person's, and who made it: as the audit log names them."""

    key: Key
    maker: str


class KeyRow(Base):
    """One key."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    plan_id: Mapped[str | None] = mapped_column(ForeignKey("plans.id"))
    scopes: Mapped[Any] = mapped_column(JSON)  # a list of names
    # SHA-256 of the whole secret, by which it is found.
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), index=True, unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)

    def key(self) -> Key:
        """Return what may be shown."""
        return Key(
            self.id,
            self.name,
            self.tenant_id,
            self.user_id,
            self.plan_id,
            frozenset(self.scopes),
            self.created_at,
            self.expires_at,
            self.revoked_at,
            self.last_used_at,
        )


class Keys:
    """The API keys of all tenants."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def create(
        self,
        name: str,
        tenant: str = OWNER_TENANT,
        *,
        user: str | None = None,
        plan_id: str | None = None,
        scopes: frozenset[str] = USUAL_SCOPES,
        expires_at: datetime | None = None,
        actor: str = "system",
    ) -> NewKey:
        """Make a key for a tenant (by id or name); with a plan of its own it has its own rates.

        With a `user` (by id or address) it is of that person and their tenant, and opens what is
        theirs.
        """
        check_scopes(scopes)
        if not 0 < len(name) <= 200:
            raise InvalidParameterError("a key's name has 1 to 200 characters")
        key_id = new_id("key")
        secret = new_secret(key_id)
        with self._store.write() as session:
            person = find_user(session, user) if user else None
            tenant_id = person.tenant_id if person else find_tenant(session, tenant).id
            if plan_id is not None:
                plan = find_row(session.get(PlanRow, plan_id), plan_id)
                check_currency(session, tenant_id, plan)
                session.add(MeterRow.empty(key_id))
            row = KeyRow(
                id=key_id,
                name=name,
                tenant_id=tenant_id,
                user_id=person.id if person else None,
                plan_id=plan_id,
                scopes=sorted(scopes),
                secret_hash=hashed(secret),
                created_at=self._clock(),
                expires_at=expires_at,
            )
            session.add(row)
            audit.note(session, self._clock(), actor, "key.create", key_id, name=name)
        return NewKey(row.key(), secret)

    def verify(self, secret: str) -> Caller:
        """Return who this is; AuthenticationError if the key is unknown, expired or revoked.

        It is looked up by its hash: of a wrong one the time tells neither how much of it is right
        nor whether a key has its id.
        """
        match = SECRET.fullmatch(secret)
        if match is None or not compare_digest(_checksum(secret[:-CHECK_DIGITS]), match[1]):
            raise AuthenticationError(REFUSED)
        plan_id = func.coalesce(KeyRow.plan_id, TenantRow.plan_id)
        query = (
            select(KeyRow, TenantRow, PlanRow, UserRow)
            .join(TenantRow, TenantRow.id == KeyRow.tenant_id)
            .join(PlanRow, PlanRow.id == plan_id)
            .outerjoin(UserRow, UserRow.id == KeyRow.user_id)
            .where(KeyRow.secret_hash == hashed(secret))
        )
        with self._store.read() as session:
            found = session.execute(query).first()
        if found is None or not self._holds(found[0], found[1], found[3]):
            raise AuthenticationError(REFUSED)
        self._note_use(found[0])
        return _caller(found[0], found[2])

    def revoke(
        self,
        key_id: str,
        *,
        tenant_id: str | None = None,
        user_id: str | None = None,
        actor: str = "system",
    ) -> Key:
        """Refuse the key from now on; with a tenant or a person, only if it is theirs."""
        with self._store.write() as session:
            row = session.get(KeyRow, key_id)
            theirs = row is not None and (
                tenant_id in (None, row.tenant_id) and user_id in (None, row.user_id)
            )
            if row is None or not theirs:
                raise NotFoundError(f"there is no key {key_id!r}; `puna keys` lists them")
            row.revoked_at = row.revoked_at or self._clock()
            audit.note(session, self._clock(), actor, "key.revoke", key_id)
        return row.key()

    def list(self, tenant_id: str | None = None) -> list[Key]:
        """Return a tenant's keys, or all, the oldest first."""
        query = select(KeyRow).order_by(KeyRow.created_at, KeyRow.id)
        if tenant_id is not None:
            query = query.where(KeyRow.tenant_id == tenant_id)
        with self._store.read() as session:
            return [row.key() for row in session.scalars(query)]

    def of_person(self, user_id: str) -> Sequence[PersonsKey]:
        """Return every key that opens, or opened, what is this person's, the newest first."""
        query = select(KeyRow).where(KeyRow.user_id == user_id)
        with self._store.read() as session:
            rows = session.scalars(query.order_by(KeyRow.created_at.desc(), KeyRow.id)).all()
            makers = audit.actors(session, "key.create", [row.id for row in rows])
            return [PersonsKey(row.key(), makers.get(row.id, "system")) for row in rows]

    def _holds(self, key: KeyRow, tenant: TenantRow, user: UserRow | None) -> bool:
        expired = key.expires_at is not None and key.expires_at <= self._clock()
        disabled = tenant.disabled_at or (user.disabled_at if user else None)
        return key.revoked_at is None and disabled is None and not expired

    def _note_use(self, key: KeyRow) -> None:
        """Keep the time of the last use, to the minute: not a write for each request."""
        now = self._clock()
        if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
            with self._store.write() as session:
                session.execute(update(KeyRow).where(KeyRow.id == key.id).values(last_used_at=now))


def new_secret(key_id: str) -> str:
    """Return `puna_sk_<id>_<256 random bits><checksum>`."""
    random = "".join(secrets.choice(DIGITS) for _ in range(RANDOM_DIGITS))
    body = f"puna_sk_{key_id.removeprefix('key_')}_{random}"
    return body + _checksum(body)


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECK_DIGITS):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def _caller(key: KeyRow, plan: PlanRow) -> Caller:
    meter_id = key.tenant_id if key.plan_id is None else key.id
    scopes = frozenset(key.scopes)
    return Caller(key.tenant_id, key.id, key.user_id, scopes, plan.terms(), meter_id)
