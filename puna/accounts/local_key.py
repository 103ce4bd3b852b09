"""The server's key for whoever is on its machine as its own Unix user: it opens the owner's things.

In: nothing.  Out: a secret for as long as this process lives; later the owner, signed in.
Keeps the secret's hash in memory alone.  Does not know how the secret reaches its user.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest

from sqlalchemy import select

from puna.accounts.plans import PlanRow
from puna.accounts.secret import hashed
from puna.accounts.sessions import SignedIn, signed_in
from puna.accounts.store import Store
from puna.accounts.tenants import TenantRow
from puna.accounts.users import UserRow
from puna.errors import AuthenticationError, NotFoundError

PREFIX = "puna_local_"


class LocalKey:
    """One secret of one process; nobody has it before `renew`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hash: bytes | None = None

    def renew(self) -> str:
        """Return a fresh secret, `puna_local_<256 random bits>`; an earlier one is void."""
        secret = PREFIX + secrets.token_urlsafe(32)
        self._hash = hashed(secret)
        return secret

    def verify(self, secret: str) -> SignedIn:
        """Return the owner, the first of several; NotFoundError before there is one.

        Raises AuthenticationError for any other secret.
        """
        if self._hash is None or not compare_digest(self._hash, hashed(secret)):
            raise AuthenticationError("this is not the secret of the server that runs now")
        query = (
            select(UserRow, PlanRow)
            .join(TenantRow, TenantRow.id == UserRow.tenant_id)
            .join(PlanRow, PlanRow.id == TenantRow.plan_id)
            .where(UserRow.role == "owner", UserRow.disabled_at.is_(None))
            .where(TenantRow.disabled_at.is_(None))
            .order_by(UserRow.created_at, UserRow.id)
        )
        with self._store.read() as session:
            found = session.execute(query.limit(1)).first()
        if found is None:
            raise NotFoundError("the server has no owner yet; open the link that its start printed")
        return signed_in(found[0].user(), found[1])
