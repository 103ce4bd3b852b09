"""People: passwords are argon2id, guessing is slowed, whoever guesses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from puna.accounts import Store, Tenants, Users
from puna.accounts.users import UserRow
from puna.errors import AuthenticationError, ConflictError, InvalidParameterError, RateLimitError
from tests.accounts.world import ManualClock

PASSWORD = "correct horse battery"


@pytest.fixture
def users(store: Store, clock: ManualClock, hasher: PasswordHasher) -> Users:
    users = Users(store, clock, hasher)
    users.create("Ada@Example.org", PASSWORD, role="admin")
    return users


def stored_hash(store: Store) -> str:
    with store.read() as session:
        return session.scalars(select(UserRow.password_hash)).one()


def test_a_person_signs_in_with_address_and_password(users: Users) -> None:
    user = users.check(" ada@example.ORG ", PASSWORD)
    assert (user.email, user.role, user.tenant_id) == ("ada@example.org", "admin", "owner")


def test_passwords_are_kept_as_argon2id(store: Store, users: Users) -> None:
    assert stored_hash(store).startswith("$argon2id$")
    assert PASSWORD not in stored_hash(store)
    in_earnest = Users(store).create("bea@example.org", PASSWORD)
    with store.read() as session:
        row = session.get(UserRow, in_earnest.id)
        assert row is not None
        assert "m=65536,t=3" in row.password_hash


def test_a_weak_hash_is_made_anew_at_the_next_sign_in(store: Store, users: Users) -> None:
    stronger = Users(store, hasher=PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    before = stored_hash(store)
    stronger.check("ada@example.org", PASSWORD)
    assert "t=1" in before
    assert "t=2" in stored_hash(store)


def test_unknown_address_and_wrong_password_read_the_same(users: Users) -> None:
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(AuthenticationError, match="the address or the password is wrong"):
            users.check(email, "wrong password")


def test_ten_wrong_attempts_lock_the_account_longer_and_longer(
    users: Users, clock: ManualClock
) -> None:
    waits = []
    for _ in range(10):
        with pytest.raises(AuthenticationError):
            users.check("ada@example.org", "wrong password")
    for _ in range(3):
        with pytest.raises(RateLimitError) as locked:
            users.check("ada@example.org", PASSWORD)
        assert locked.value.retry_after_s is not None
        waits.append(locked.value.retry_after_s)
        clock.move(waits[-1])
        with pytest.raises(AuthenticationError):
            users.check("ada@example.org", "wrong password")
    assert waits == [15, 30, 60]
    clock.move(3600)
    users.check("ada@example.org", PASSWORD)
    with pytest.raises(AuthenticationError):  # the count begins anew
        users.check("ada@example.org", "wrong password")
    users.check("ada@example.org", PASSWORD)


def test_guesses_at_the_same_time_get_no_more_tries(users: Users) -> None:
    def guess(number: int) -> type[Exception]:
        try:
            users.check("ada@example.org", f"guess number {number}")
        except (AuthenticationError, RateLimitError) as error:
            return type(error)
        raise AssertionError("a guess was right")

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(guess, range(40)))
    assert outcomes.count(AuthenticationError) == 10


def test_a_new_password_unlocks_and_ends_the_old_one(users: Users) -> None:
    user = users.get("ada@example.org")
    for _ in range(10):
        with pytest.raises(AuthenticationError):
            users.check("ada@example.org", "wrong password")
    users.set_password(user.id, "another fine password")
    assert users.check("ada@example.org", "another fine password").id == user.id
    with pytest.raises(AuthenticationError):
        users.check("ada@example.org", PASSWORD)


def test_a_disabled_person_or_tenant_is_refused(store: Store, users: Users) -> None:
    users.set_disabled("ada@example.org", True)
    with pytest.raises(AuthenticationError):
        users.check("ada@example.org", PASSWORD)
    users.set_disabled("ada@example.org", False)
    Tenants(store).set_disabled("owner", True)
    with pytest.raises(AuthenticationError):
        users.check("ada@example.org", PASSWORD)


@pytest.mark.parametrize(
    ("email", "password", "role"),
    [
        ("ada", PASSWORD, "member"),
        ("a b@c", PASSWORD, "member"),
        ("@c", PASSWORD, "member"),
        ("new@example.org", "short", "member"),
        ("new@example.org", "x" * 1001, "member"),
        ("new@example.org", PASSWORD, "god"),
    ],
)
def test_what_cannot_be_a_person_is_refused(
    users: Users, email: str, password: str, role: str
) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        users.create(email, password, role=role)  # type: ignore[arg-type]
    assert password not in str(refused.value)


def test_an_address_is_taken_once(users: Users) -> None:
    with pytest.raises(ConflictError, match=r"ada@example\.org"):
        users.create("ADA@example.org", PASSWORD)
