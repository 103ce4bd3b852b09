"""People: their roles and passwords.

In: an address and a password.  Out: users.
Does not know how a browser remembers a person; passwords are kept as argon2id hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast, get_args

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import ForeignKey, Integer, String, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import audit
from puna.accounts.schema import Base, Clock, Moment, new_id, utc_now
from puna.accounts.store import Store
from puna.accounts.tenants import OWNER_TENANT, TenantRow, find_tenant
from puna.errors import (
    AuthenticationError,
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    RateLimitError,
)

Role = Literal["owner", "admin", "member"]  # all; the tenant's plan; use only
ROLES: tuple[Role, ...] = get_args(Role)
LEAST_PASSWORD, MOST_PASSWORD = 10, 1000  # characters
FREE_ATTEMPTS = 10
LONGEST_LOCK_S = 3600
USUAL = PasswordHasher()  # argon2id, 64 MiB, three passes
# What an unknown address is compared with, so that its answer takes as long as a known one's: a
# hash of nothing, that is written and not computed, for that takes as long as a start may.
NOBODY = (
    f"$argon2id$v=19$m={USUAL.memory_cost},t={USUAL.time_cost},p={USUAL.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)


@dataclass(frozen=True)
class User:
    """A person of one tenant."""

    id: str
    tenant_id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class UserRow(Base):
    """One person."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)  # in small letters
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(10))
    password_hash: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    failed_attempts: Mapped[int] = mapped_column(Integer, default=0)
    locked_until: Mapped[datetime | None] = mapped_column(Moment)

    def user(self) -> User:
        """Return what may be shown."""
        role = cast(Role, self.role)
        return User(
            self.id,
            self.tenant_id,
            self.email,
            self.name,
            role,
            self.created_at,
            self.disabled_at,
        )


class Users:
    """The people of all tenants."""

    def __init__(
        self, store: Store, clock: Clock = utc_now, hasher: PasswordHasher | None = None
    ) -> None:
        self._store, self._clock = store, clock
        self._hasher = hasher or USUAL

    def create(
        self,
        email: str,
        password: str,
        *,
        name: str = "",
        tenant: str = OWNER_TENANT,
        role: Role = "member",
        actor: str = "system",
    ) -> User:
        """Add a person to a tenant; ConflictError if the address is taken."""
        email = _address(email)
        _check_password(password)
        if role not in ROLES:
            raise InvalidParameterError(f"a role is one of {', '.join(ROLES)}, not {role!r}")
        password_hash = self._hasher.hash(password)
        try:
            with self._store.write() as session:
                row = UserRow(
                    id=new_id("usr"),
                    tenant_id=find_tenant(session, tenant).id,
                    email=email,
                    name=name or email.partition("@")[0],
                    role=role,
                    password_hash=password_hash,
                    created_at=self._clock(),
                )
                session.add(row)
                session.flush()
                audit.note(session, self._clock(), actor, "user.create", row.id, role=role)
        except IntegrityError as error:
            raise ConflictError(f"there is a user {email!r} already") from error
        return row.user()

    def check(self, email: str, password: str) -> User:
        """Return who this is; AuthenticationError, or RateLimitError after ten wrong attempts.

        An attempt is counted before the password is looked at, so that a thousand at once get
        no more tries than one after another.
        """
        with self._store.write() as session:
            row = session.scalar(
                select(UserRow).where(UserRow.email == email.strip().lower()).with_for_update()
            )
            if row is not None:
                self._count_attempt(row)
        right = self._matches(row.password_hash if row else NOBODY, password)
        if row is None or not right or not self._is_active(row):
            raise AuthenticationError("the address or the password is wrong")
        self._forgive(row, password)
        return row.user()

    def set_password(self, user_id: str, password: str, *, actor: str = "system") -> None:
        """Give a person a new password, which also unlocks the account."""
        _check_password(password)
        password_hash = self._hasher.hash(password)
        with self._store.write() as session:
            row = find_user(session, user_id)
            row.password_hash, row.failed_attempts, row.locked_until = password_hash, 0, None
            audit.note(session, self._clock(), actor, "user.password", row.id)

    def set_disabled(self, user: str, disabled: bool, *, actor: str = "system") -> User:
        """Refuse a person from now on, or take them back."""
        with self._store.write() as session:
            row = find_user(session, user)
            row.disabled_at = self._clock() if disabled else None
            action = "user.disable" if disabled else "user.enable"
            audit.note(session, self._clock(), actor, action, row.id)
        return row.user()

    def get(self, user: str) -> User:
        """Return a person by id or address; NotFoundError if there is none."""
        with self._store.read() as session:
            return find_user(session, user).user()

    def list(self, tenant_id: str | None = None) -> list[User]:
        """Return a tenant's people, or all, by address."""
        query = select(UserRow).order_by(UserRow.email)
        if tenant_id is not None:
            query = query.where(UserRow.tenant_id == tenant_id)
        with self._store.read() as session:
            return [row.user() for row in session.scalars(query)]

    def _count_attempt(self, row: UserRow) -> None:
        now = self._clock()
        if row.locked_until is not None and row.locked_until > now:
            wait_s = (row.locked_until - now).total_seconds()
            raise RateLimitError(f"too many attempts; try again in {wait_s:.0f} s", wait_s)
        row.failed_attempts += 1
        if row.failed_attempts >= FREE_ATTEMPTS:
            doublings = min(row.failed_attempts - FREE_ATTEMPTS, 12)
            row.locked_until = now + timedelta(seconds=min(15 * 2**doublings, LONGEST_LOCK_S))

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password[:MOST_PASSWORD])
        except VerifyMismatchError:
            return False

    def _is_active(self, row: UserRow) -> bool:
        with self._store.read() as session:
            tenant = session.get(TenantRow, row.tenant_id)
        return row.disabled_at is None and tenant is not None and tenant.disabled_at is None

    def _forgive(self, row: UserRow, password: str) -> None:
        """Forget wrong attempts; hash anew if today's hashing is stronger than that of then."""
        values: dict[str, object] = {"failed_attempts": 0, "locked_until": None}
        if self._hasher.check_needs_rehash(row.password_hash):
            values["password_hash"] = self._hasher.hash(password)
        with self._store.write() as session:
            session.execute(update(UserRow).where(UserRow.id == row.id).values(**values))


def find_user(session: Session, user: str) -> UserRow:
    """Return the row of a user's id or address; NotFoundError if there is none."""
    row = session.get(UserRow, user) or session.scalar(
        select(UserRow).where(UserRow.email == user.lower())
    )
    if row is None:
        raise NotFoundError(f"there is no user {user!r}; `puna users` lists them")
    return row


def _address(email: str) -> str:
    email = email.strip().lower()
    name, _, host = email.rpartition("@")
    if not (name and host and len(email) <= 320 and email.isprintable() and " " not in email):
        raise InvalidParameterError(f"{email!r} is no e-mail address")
    return email


def _check_password(password: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise InvalidParameterError(
            f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD:,} characters"
        )
