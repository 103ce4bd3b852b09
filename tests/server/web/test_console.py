"""The owner's console: what its buttons do is done, noted, and shown once where it is secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from puna.errors import AuthenticationError
from puna.server.web.house import House
from tests.server.web.house import GUEST, guest, new_house, owner, stranger


@pytest.fixture
def house(tmp_path: Path) -> House:
    return new_house(tmp_path)


@pytest.fixture
def client(house: House) -> TestClient:
    return owner(house)


def test_a_key_is_made_shown_once_and_revoked(house: House, client: TestClient) -> None:
    made = client.post("/web/console/keys", json={"name": "program", "tenant": "owner"})
    secret = made.json()["secret"]
    assert house.keys.verify(secret).tenant_id == "owner"
    page = client.get("/console/keys").text
    assert "program" in page
    assert secret not in page
    key = house.keys.list()[0]
    assert client.delete(f"/web/console/keys/{key.id}").status_code == 200
    with pytest.raises(AuthenticationError):
        house.keys.verify(secret)
    assert "revoked" in client.get("/console/keys").text


def test_a_plan_is_made_and_changed(house: House, client: TestClient) -> None:
    terms = {"title": "Team", "monthly_tokens": 5000, "input_price": 0.5, "output_price": 1.5}
    assert client.post("/web/console/plans", json={"id": "team", **terms}).status_code == 200
    assert house.plans.get("team").prices["*"].output_micros == 1_500_000
    changed = {**terms, "monthly_tokens": None}
    assert client.patch("/web/console/plans/team", json=changed).status_code == 200
    assert house.plans.get("team").monthly_tokens is None
    assert "0.50 USD in, 1.50 USD out" in client.get("/console/plans").text


def test_a_tenant_is_made_moved_and_closed(house: House, client: TestClient) -> None:
    assert client.post("/web/console/tenants", json={"name": "Acme", "plan": "free"}).is_success
    tenant = house.tenants.get("Acme")
    assert client.patch(f"/web/console/tenants/{tenant.id}", json={"plan": "owner"}).is_success
    assert client.patch(f"/web/console/tenants/{tenant.id}", json={"state": "off"}).is_success
    assert house.tenants.get("Acme").plan_id == "owner"
    assert "closed" in client.get("/console/tenants").text


def test_a_person_is_invited_and_refused(house: House, client: TestClient) -> None:
    tenant = house.tenants.create("Acme")
    made = client.post("/web/console/users", json={"tenant": tenant.id, "role": "member"})
    token = made.json()["secret"].rpartition("#")[2]
    newcomer = stranger(house)
    assert newcomer.post("/web/welcome", json={**GUEST, "token": token}).is_success
    user = house.users.get(GUEST["email"])
    assert client.patch(f"/web/console/users/{user.id}", json={"state": "off"}).is_success
    assert newcomer.get("/plan").status_code == 303


def test_nobody_locks_themselves_out(house: House, client: TestClient) -> None:
    user = house.users.get("ana@example.org")
    answer = client.patch(f"/web/console/users/{user.id}", json={"state": "off"})
    assert answer.status_code == 409


def test_the_audit_log_names_who_did_it(house: House, client: TestClient) -> None:
    client.post("/web/console/keys", json={"name": "program", "tenant": "owner"})
    page = client.get("/console/audit").text
    assert "key.create" in page
    assert house.users.get("ana@example.org").id in page


def test_what_does_not_fit_is_refused_in_words(client: TestClient) -> None:
    answer = client.post("/web/console/plans", json={"id": "x y", "title": "X"})
    assert answer.status_code == 400
    assert "letters, digits" in answer.json()["error"]["message"]
    answer = client.post("/web/console/keys", json={"name": "x", "tenant": "owner", "more": 1})
    assert answer.status_code == 400


def test_a_guest_sees_what_is_left_of_the_plan(house: House, client: TestClient) -> None:
    page = guest(house).get("/plan").text
    assert "1,000,000 of 1,000,000 left" in page
    assert "ana@example.org" in page
