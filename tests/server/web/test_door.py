"""Sessions: the one-time link, cookies, signing in and out, passwords, and what strangers get."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from puna.server.web.house import House
from puna.server.web.site import routes
from tests.server.web.house import CLOSED, GUEST, OWNER, guest, new_house, owner, stranger

OPEN = {"/login", "/welcome", "/web/login", "/web/welcome", "/static/{version}/{path:path}"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return new_house(tmp_path)


def cookie(client: TestClient) -> str:
    return client.cookies["puna_session"]


def sign_in(client: TestClient, password: str = OWNER["password"]) -> int:
    body = {"email": OWNER["email"], "password": password}
    return client.post("/web/login", json=body).status_code


def test_the_link_works_once(house: House) -> None:
    token = house.links.for_owner()
    client = stranger(house)
    assert client.post("/web/welcome", json={**OWNER, "token": token}).status_code == 200
    assert client.get("/plan").status_code == 200
    again = stranger(house).post("/web/welcome", json={**GUEST, "token": token})
    assert again.status_code == CLOSED
    assert "used or is too old" in again.json()["error"]["message"]


def test_the_owners_cookie_is_strict_and_a_guests_is_lax(house: House) -> None:
    token = house.links.for_owner()
    made = stranger(house).post("/web/welcome", json={**OWNER, "token": token})
    given = made.headers["set-cookie"].lower()
    assert "httponly" in given
    assert "samesite=strict" in given
    assert "secure" not in given.replace("samesite", "")
    tenant = house.tenants.create("Guests")
    body = {**GUEST, "token": house.links.invite(tenant.id)}
    given = stranger(house).post("/web/welcome", json=body).headers["set-cookie"].lower()
    assert "samesite=lax" in given


def test_over_tls_the_cookie_belongs_to_this_host_alone(house: House) -> None:
    client = owner(house, "https://localhost")
    assert "__Host-puna" in client.cookies
    assert client.get("/plan").status_code == 200
    over_http = stranger(house)
    over_http.cookies.set("__Host-puna", client.cookies["__Host-puna"])
    assert over_http.get("/plan").status_code == 303


def test_signing_in_gives_a_new_session_and_ends_the_old_one(house: House) -> None:
    client = owner(house)
    before = cookie(client)
    assert sign_in(client) == 200
    assert cookie(client) != before
    thief = stranger(house)
    thief.cookies.set("puna_session", before)
    assert thief.get("/plan").status_code == 303


def test_a_planted_cookie_is_never_taken_over(house: House) -> None:
    owner(house)
    victim = stranger(house)
    victim.cookies.set("puna_session", "planted", domain="localhost.local", path="/")
    assert sign_in(victim) == 200
    assert cookie(victim) != "planted"
    attacker = stranger(house)
    attacker.cookies.set("puna_session", "planted")
    assert attacker.get("/plan").status_code == 303


def test_after_signing_out_the_session_is_worth_nothing(house: House) -> None:
    client = owner(house)
    token = cookie(client)
    assert client.post("/web/logout").status_code == 200
    thief = stranger(house)
    thief.cookies.set("puna_session", token)
    assert thief.get("/plan").status_code == 303


def test_a_new_password_signs_out_everywhere(house: House) -> None:
    one, other = owner(house), stranger(house)
    assert sign_in(other) == 200
    body = {"old": OWNER["password"], "new": "a longer password"}
    assert one.post("/web/password", json=body).status_code == 200
    assert one.get("/plan").status_code == other.get("/plan").status_code == 303
    assert sign_in(other) == 403
    assert sign_in(other, "a longer password") == 200


def test_the_present_password_is_needed_for_a_new_one(house: House) -> None:
    client = owner(house)
    body = {"old": "wrong password", "new": "a longer password"}
    assert client.post("/web/password", json=body).status_code == 403


def test_known_and_unknown_addresses_get_the_same_answer(house: House) -> None:
    owner(house)
    client = stranger(house)
    wrong = client.post("/web/login", json={"email": OWNER["email"], "password": "wrong"})
    unknown = client.post("/web/login", json={"email": "no@example.org", "password": "wrong"})
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)


def test_guessing_is_stopped(house: House) -> None:
    owner(house)
    client = stranger(house)
    answers = [sign_in(client, "wrong") for _ in range(12)]
    assert answers[:10] == [403] * 10
    assert answers[10:] == [429, 429]


@pytest.mark.parametrize("who", ["stranger", "guest"])
def test_no_address_opens_to_the_wrong_person(house: House, who: str) -> None:
    """A route that is missing in OPEN must refuse strangers; the console refuses guests."""
    owner(house)
    client = guest(house) if who == "guest" else stranger(house)
    for route in routes():
        assert isinstance(route, Route)
        console = "/console" in route.path
        if route.path in OPEN or (who == "guest" and not console):
            continue
        path = route.path.replace("{format}", "md")
        path = path.replace(":int}", "}").replace(":path}", "}").replace("{passage}", "1")
        for method in (route.methods or set()) - {"HEAD"}:
            status = client.request(method, path).status_code
            expected = {404} if who == "guest" else {303, 401}
            assert status in expected, (method, path, status)


def test_every_state_change_wants_our_own_header(house: House) -> None:
    client = owner(house)
    for route in routes():
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD", "GET"}:
            path = route.path.replace(":path}", "}").replace(":int}", "}")
            answer = client.request(method, path, headers={"X-Puna": ""})
            assert answer.status_code == 403, (method, path)


def test_a_failure_of_ours_says_nothing_about_itself(house: House) -> None:
    client = owner(house)
    store = house.tenants._store
    store.engine.dispose()
    house.tenants._store = None  # type: ignore[assignment]
    answer = client.get("/console/tenants")
    assert answer.status_code == 500
    assert "NoneType" not in answer.text
