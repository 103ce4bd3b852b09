"""Sign-ins end: when idle, when old, when ended; their tokens are stored as hashes."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from puna.accounts import USUAL_SCOPES, Sessions, Store, User, Users
from puna.accounts.sessions import SessionRow
from puna.accounts.users import Role
from puna.errors import AuthenticationError
from tests.accounts.world import ManualClock

HOUR_S = 3600


@pytest.fixture
def ada(store: Store, clock: ManualClock, hasher: PasswordHasher) -> User:
    return Users(store, clock, hasher).create("ada@example.org", "correct horse", role="owner")


@pytest.fixture
def sessions(store: Store, clock: ManualClock) -> Sessions:
    return Sessions(store, clock)


def is_over(sessions: Sessions, token: str) -> bool:
    try:
        sessions.verify(token)
    except AuthenticationError:
        return True
    return False


def test_a_token_stands_for_its_person(sessions: Sessions, ada: User) -> None:
    signed_in = sessions.verify(sessions.create(ada.id))
    assert signed_in.user == ada
    assert signed_in.caller.user_id == ada.id
    assert "admin" in signed_in.caller.scopes
    assert signed_in.caller.plan.id == "owner"


@pytest.mark.parametrize("role", ["admin", "member"])
def test_what_concerns_all_tenants_is_the_owners_alone(
    sessions: Sessions, store: Store, clock: ManualClock, hasher: PasswordHasher, role: Role
) -> None:
    """A tenant's administrator chooses its plan; the server's metrics are not theirs."""
    ben = Users(store, clock, hasher).create("ben@example.org", "correct horse", role=role)
    assert sessions.verify(sessions.create(ben.id)).caller.scopes == USUAL_SCOPES


def test_twelve_idle_hours_end_it(sessions: Sessions, ada: User, clock: ManualClock) -> None:
    token = sessions.create(ada.id)
    for _ in range(3):
        clock.move(12 * HOUR_S - 61)
        sessions.verify(token)
    clock.move(12 * HOUR_S)
    assert is_over(sessions, token)


def test_seven_days_end_it_however_busy(sessions: Sessions, ada: User, clock: ManualClock) -> None:
    token = sessions.create(ada.id)
    for _ in range(7 * 24 - 1):
        clock.move(HOUR_S)
        sessions.verify(token)
    clock.move(HOUR_S)
    assert is_over(sessions, token)


def test_a_new_token_ends_the_old_one(sessions: Sessions, ada: User) -> None:
    token = sessions.create(ada.id)
    fresh = sessions.rotate(token)
    assert is_over(sessions, token)
    assert sessions.verify(fresh).user == ada
    with pytest.raises(AuthenticationError):
        sessions.rotate(token)


def test_signing_out_here_or_everywhere(sessions: Sessions, ada: User) -> None:
    here, there = sessions.create(ada.id), sessions.create(ada.id)
    sessions.end(here)
    assert is_over(sessions, here)
    assert not is_over(sessions, there)
    sessions.end_all(ada.id)
    assert is_over(sessions, there)


def test_a_disabled_person_is_signed_out(store: Store, sessions: Sessions, ada: User) -> None:
    token = sessions.create(ada.id)
    Users(store).set_disabled(ada.id, True)
    assert is_over(sessions, token)


def test_tokens_are_stored_as_hashes_and_forgotten(
    store: Store, sessions: Sessions, ada: User, clock: ManualClock
) -> None:
    token = sessions.create(ada.id)
    with store.read() as session:
        assert token.encode() not in session.scalars(select(SessionRow.token_hash)).one()
    clock.move(13 * HOUR_S)
    sessions.forget_old()
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(SessionRow)) == 0
