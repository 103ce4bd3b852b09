"""A session ends at once wherever it must: a new password, a closed account, another person."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from puna.server.web.house import House
from tests.server.web.house import GUEST, OWNER, guest, new_house, owner, stranger

IN, OUT = 200, 303


@pytest.fixture
def house(tmp_path: Path) -> House:
    return new_house(tmp_path)


def state(client: TestClient) -> int:
    """Whether a browser is signed in."""
    return client.get("/plan").status_code


def holding(house: House, token: str) -> TestClient:
    """Another browser that has got hold of a session."""
    thief = stranger(house)
    thief.cookies.set("puna_session", token)
    return thief


def sign_in(client: TestClient, who: dict[str, str]) -> int:
    body = {"email": who["email"], "password": who["password"]}
    return client.post("/web/login", json=body).status_code


def test_a_given_password_ends_every_session_of_its_person_alone(house: House) -> None:
    host, here = owner(house), guest(house)
    elsewhere = stranger(house)
    assert sign_in(elsewhere, GUEST) == IN
    new = {"user": GUEST["email"], "password": "quite another password"}
    assert host.post("/web/console/password", json=new).status_code == IN
    assert (state(here), state(elsewhere), state(host)) == (OUT, OUT, IN)


def test_a_closed_account_is_out_at_the_next_request_and_comes_back_signed_out(
    house: House,
) -> None:
    host, here = owner(house), guest(house)
    address = f"/web/console/users/{house.users.get(GUEST['email']).id}"
    assert host.patch(address, json={"state": "off"}).status_code == IN
    assert state(here) == OUT
    assert here.get("/web/conversations").status_code == 401
    assert sign_in(here, GUEST) == 403
    assert host.patch(address, json={"state": "on"}).status_code == IN
    assert state(here) == OUT
    assert sign_in(here, GUEST) == IN


def test_who_signs_in_as_an_owner_leaves_the_guests_session_behind(house: House) -> None:
    """More rights, another token: what was seen of the lesser session opens nothing."""
    owner(house)
    client = guest(house)
    lesser = client.cookies["puna_session"]
    assert sign_in(client, OWNER) == IN
    assert client.cookies["puna_session"] != lesser
    assert client.get("/console").status_code == IN
    assert state(holding(house, lesser)) == OUT


def test_signing_out_ends_one_browser_and_its_streams_alone(house: House) -> None:
    here, elsewhere = owner(house), stranger(house)
    assert sign_in(elsewhere, OWNER) == IN
    token = here.cookies["puna_session"]
    assert here.post("/web/logout").status_code == IN
    assert (state(holding(house, token)), state(elsewhere)) == (OUT, IN)
    for method, path in (
        ("POST", "/web/turns"),
        ("GET", "/web/turns/t"),
        ("DELETE", "/web/turns/t"),
    ):
        assert holding(house, token).request(method, path).status_code == 401, (method, path)
