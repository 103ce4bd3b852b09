"""One-time links: one use, within their time, and only one owner's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

from puna.accounts import Links, Store, Tenants, Users
from puna.errors import AuthenticationError, InvalidParameterError, NotFoundError, PunaError
from tests.accounts.world import ManualClock

PASSWORD = "correct horse battery"


@pytest.fixture
def links(store: Store, clock: ManualClock, hasher: PasswordHasher) -> Links:
    return Links(store, Users(store, clock, hasher), clock)


def test_the_first_start_makes_the_owner(links: Links) -> None:
    token = links.for_owner()
    assert token is not None
    assert links.check(token) == "owner"
    owner = links.accept(token, "ada@example.org", PASSWORD, "Ada")
    assert (owner.role, owner.tenant_id, owner.name) == ("owner", "owner", "Ada")
    assert links.for_owner() is None
    with pytest.raises(AuthenticationError, match="used or is too old"):
        links.accept(token, "eve@example.org", PASSWORD)


def test_a_second_start_voids_the_first_link(links: Links) -> None:
    first, second = links.for_owner(), links.for_owner()
    assert first is not None
    assert second is not None
    with pytest.raises(AuthenticationError):
        links.check(first)
    links.check(second)


def test_a_link_ends_at_its_time(links: Links, clock: ManualClock) -> None:
    token = links.for_owner()
    assert token is not None
    clock.move(24 * 3600)
    with pytest.raises(AuthenticationError):
        links.accept(token, "ada@example.org", PASSWORD)


def test_a_mistake_does_not_use_the_link_up(links: Links) -> None:
    token = links.for_owner()
    assert token is not None
    with pytest.raises(InvalidParameterError, match="a password has"):
        links.accept(token, "ada@example.org", "short")
    links.accept(token, "ada@example.org", PASSWORD)


def test_an_invitation_is_for_one_tenant_and_role(store: Store, links: Links) -> None:
    acme = Tenants(store).create("acme")
    user = links.accept(links.invite("acme", "admin"), "bea@example.org", PASSWORD)
    assert (user.tenant_id, user.role) == (acme.id, "admin")


def test_of_many_at_once_one_is_taken(links: Links) -> None:
    token = links.invite("owner")

    def accept(number: int) -> bool:
        try:
            links.accept(token, f"user{number}@example.org", PASSWORD)
        except PunaError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(accept, range(8))) == 1


def test_pending_ones_are_seen_without_their_token_and_withdrawn(
    links: Links, clock: ManualClock
) -> None:
    links.accept(links.for_owner() or "", "ada@example.org", PASSWORD)
    first, second = links.invite("owner", "admin"), links.invite("owner")
    pending = links.pending()
    assert {(one.tenant_id, one.role) for one in pending} == {
        ("owner", "admin"),
        ("owner", "member"),
    }
    assert not any(token in repr(pending) for token in (first, second))
    [admin] = [one for one in pending if one.role == "admin"]
    links.withdraw(admin.id)
    with pytest.raises(AuthenticationError):
        links.accept(first, "bob@example.org", PASSWORD)
    with pytest.raises(NotFoundError, match="pending"):
        links.withdraw(admin.id)
    links.check(second)
    clock.move(8 * 86_400)
    assert links.pending() == []
    with pytest.raises(NotFoundError):
        links.withdraw(pending[0].id)


def test_who_has_come_is_not_pending(links: Links) -> None:
    links.accept(links.for_owner() or "", "ada@example.org", PASSWORD)
    token = links.invite("owner")
    links.accept(token, "bob@example.org", PASSWORD)
    assert links.pending() == []
