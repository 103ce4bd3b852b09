"""The secret of one server process: the owner's, on no disk, void once it is renewed."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from puna.accounts import LocalKey, Store, Users
from puna.accounts.schema import utc_now
from puna.errors import AuthenticationError, NotFoundError


def test_it_stands_for_the_first_owner_who_is_not_disabled(
    store: Store, hasher: PasswordHasher
) -> None:
    users = Users(store, utc_now, hasher)
    key = LocalKey(store)
    secret = key.renew()
    users.create("bob@example.org", "correct horse")
    with pytest.raises(NotFoundError, match="no owner yet"):
        key.verify(secret)
    ada = users.create("ada@example.org", "correct horse", role="owner")
    eve = users.create("eve@example.org", "correct horse", role="owner")
    found = key.verify(secret)
    assert (found.user, found.caller.user_id, found.caller.plan.id) == (ada, ada.id, "owner")
    users.set_disabled(ada.id, True)
    assert key.verify(secret).user == eve


def test_nothing_else_opens_and_a_new_one_voids_the_old(store: Store) -> None:
    key = LocalKey(store)
    for secret in ("", "puna_local_", "\udc80", "puna_local_" + "a" * 43):
        with pytest.raises(AuthenticationError):
            key.verify(secret)
    old = key.renew()
    assert key.renew() != old
    with pytest.raises(AuthenticationError):
        key.verify(old)
    with pytest.raises(AuthenticationError):
        LocalKey(store).verify(old)
