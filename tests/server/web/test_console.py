"""The owner's console: what its buttons do is done, noted, and shown once where it is secret."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from puna.accounts import Ledger, Plan, Price
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


def test_a_key_is_made_for_a_person_and_said_to_be_theirs(house: House, client: TestClient) -> None:
    guest(house)
    user = house.users.get(GUEST["email"])
    new = {"name": "bens terminal", "tenant": "owner", "user": user.id}
    caller = house.keys.verify(client.post("/web/console/keys", json=new).json()["secret"])
    assert (caller.user_id, caller.tenant_id) == (user.id, user.tenant_id)
    page = client.get("/console/keys").text
    assert f'<td data-label="Whose">{GUEST["email"]}</td>' in page
    nobodys = client.post("/web/console/keys", json={**new, "user": ""}).json()["secret"]
    assert house.keys.verify(nobodys).user_id is None
    assert client.post("/web/console/keys", json={**new, "user": "usr_none"}).status_code == 404


def test_an_invitation_is_seen_and_withdrawn(house: House, client: TestClient) -> None:
    made = client.post("/web/console/users", json={"tenant": "owner", "role": "member"})
    token = made.json()["secret"].rpartition("#")[2]
    [pending] = house.links.pending()
    page = client.get("/console/users").text
    assert f"Withdraw: {pending.id}" in page
    assert token not in page
    assert client.delete(f"/web/console/invitations/{pending.id}").is_success
    assert pending.id not in client.get("/console/users").text
    assert stranger(house).post("/web/welcome", json={**GUEST, "token": token}).status_code == 401
    assert client.delete(f"/web/console/invitations/{pending.id}").status_code == 404


def test_credits_are_added_shown_and_invoiced(house: House, client: TestClient) -> None:
    tenant = house.tenants.create("Acme")
    given = {"tenant": tenant.id, "amount": "25.50", "note": "transfer <b>"}
    assert client.post("/web/console/credits", json=given).is_success
    assert client.post("/web/console/credits", json={**given, "amount": "-0.5"}).is_success
    assert house.ledger.balance("Acme").available_micros == 25_000_000
    page = client.get(f"/console/credits?tenant={tenant.id}").text
    assert '<td data-label="Left" class="right">25.00</td>' in page
    assert "transfer &lt;b&gt;" in page
    assert "Earlier ones" not in page
    for amount, status in (("-26", 402), ("much", 400), ("0", 400)):
        answer = client.post("/web/console/credits", json={**given, "amount": amount})
        assert answer.status_code == status, amount
    month = f"{house.history.latest()[0].at:%Y-%m}"
    invoice = client.get(f"/console/invoice?tenant={tenant.id}&month={month}")
    assert "attachment" in invoice.headers["content-disposition"]
    assert "25.50" in invoice.text
    assert client.get(f"/console/invoice?tenant={tenant.id}&month=x").status_code == 400
    assert client.get(f"/console/invoice?tenant=none&month={month}").status_code == 404


def test_one_page_adds_credits_once(house: House, client: TestClient) -> None:
    def reference() -> str:
        found = re.search(r'name="reference" value="(\w+)"', client.get("/console/credits").text)
        assert found
        return found[1]

    given = {"tenant": "owner", "amount": "5", "reference": reference()}
    for _ in range(3):  # the answer was lost on its way, so the button was pressed again
        assert client.post("/web/console/credits", json=given).is_success
    assert house.ledger.balance("owner").credited_micros == 5_000_000
    again = {**given, "reference": reference()}
    assert client.post("/web/console/credits", json=again).is_success
    assert house.ledger.balance("owner").credited_micros == 10_000_000


def test_a_long_history_is_read_page_by_page(house: House, client: TestClient) -> None:
    for n in range(1, 53):
        house.ledger.credit("owner", n, note=f"credit no. {n}.")
    first = unescape(client.get("/console/credits").text)
    assert "credit no. 52." in first
    assert "credit no. 2." not in first
    older = re.search(r'href="(/console/credits\?[^"]+)"', first)
    assert older
    rest = client.get(older[1]).text
    assert "credit no. 2." in rest
    assert "Earlier ones" not in rest
    assert client.get("/console/credits?before=x").status_code == 200


def test_a_backup_is_made_fetched_and_thrown_away(house: House, client: TestClient) -> None:
    assert "No copy was made here yet" in client.get("/console/backups").text
    name = client.post("/web/console/backups").json()["name"]
    page = client.get("/console/backups").text
    assert "The last copy was made today." in page
    assert "puna restore" in page
    fetched = client.get(f"/web/console/backups/{name}")
    assert fetched.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert fetched.content[:2] == b"\x1f\x8b"  # gzip
    newcomer = guest(house)
    assert newcomer.get(f"/web/console/backups/{name}").status_code == 404
    assert newcomer.post("/web/console/backups").status_code == 404
    assert client.get("/web/console/backups/..%2fpuna.db").status_code == 404
    assert client.delete(f"/web/console/backups/{name}").is_success
    assert name not in client.get("/console/backups").text
    assert name in client.get("/console/audit").text


def test_a_plan_is_made_and_changed(house: House, client: TestClient) -> None:
    terms = {"title": "Team", "monthly_tokens": 5000, "input_price": 0.5, "output_price": 1.5}
    assert client.post("/web/console/plans", json={"id": "team", **terms}).status_code == 200
    assert house.plans.get("team").prices["*"].output_micros == 1_500_000
    changed = {**terms, "monthly_tokens": None}
    assert client.patch("/web/console/plans/team", json=changed).status_code == 200
    assert house.plans.get("team").monthly_tokens is None
    assert "0.50 USD in, 1.50 USD out" in client.get("/console/plans").text


def test_a_plan_has_every_term_on_the_page(house: House, client: TestClient) -> None:
    terms = {
        "title": "Pro",
        "models": "llama, smollm2",
        "monthly_tokens": 5000,
        "requests_per_minute": 60,
        "tokens_per_minute": 9000,
        "concurrent_requests": 4,
        "priority": "-2",
        "offered": "yes",
        "input_price": 0.5,
        "cached_price": 0.1,
        "output_price": 1.5,
    }
    assert client.post("/web/console/plans", json={"id": "pro", **terms}).is_success
    price = {"*": Price(500_000, 100_000, 1_500_000)}
    models = ("llama", "smollm2")
    assert house.plans.get("pro") == Plan(
        "pro", "Pro", models, 60, 9000, 4, 5000, priority=-2, prices=price, offered=True
    )
    assert "its people" in client.get("/console/plans").text


def test_keeping_a_plan_as_it_is_changes_none_of_its_prices(
    house: House, client: TestClient
) -> None:
    singly = {"big": Price(9_000_000, 1_000_000, 9_000_000)}
    every = {"*": Price(200_000, 50_000, 600_001)}
    for name, prices in {"both": {**every, **singly}, "singly": singly}.items():
        house.plans.create(Plan(name, title=name, prices=prices))
        page = client.get("/console/plans").text
        form = page.split(f'action="/web/console/plans/{name}"')[1].split("</form>")[0]
        shown = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', form))
        kept = {field: value or None for field, value in shown.items()}
        assert client.patch(f"/web/console/plans/{name}", json=kept).is_success
        assert house.plans.get(name).prices == prices
    dearer = {"title": "both", "input_price": 0.4, "cached_price": None, "output_price": 1}
    assert client.patch("/web/console/plans/both", json=dearer).is_success
    changed = {"*": Price(400_000, 400_000, 1_000_000), **singly}
    assert house.plans.get("both").prices == changed


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


def test_who_forgot_a_password_gets_another(house: House, client: TestClient) -> None:
    newcomer = guest(house)
    user = house.users.get(GUEST["email"])
    new = {"user": user.id, "password": "quite another password"}
    assert client.post("/web/console/password", json={**new, "password": "short"}).is_error
    assert client.post("/web/console/password", json=new).is_success
    assert newcomer.get("/plan").status_code == 303  # signed out
    assert house.users.check(GUEST["email"], "quite another password").id == user.id
    assert newcomer.post("/web/console/password", json=new).is_error
    assert "quite another" not in client.get("/console/audit").text


def test_nobody_locks_themselves_out(house: House, client: TestClient) -> None:
    user = house.users.get("ana@example.org")
    answer = client.patch(f"/web/console/users/{user.id}", json={"state": "off"})
    assert answer.status_code == 409
    answer = client.patch("/web/console/tenants/owner", json={"state": "off"})
    assert answer.status_code == 409
    assert "Close: owner" not in client.get("/console/tenants").text
    assert client.get("/plan").status_code == 200


def test_the_audit_log_names_who_did_it(house: House, client: TestClient) -> None:
    client.post("/web/console/keys", json={"name": "program", "tenant": "owner"})
    page = client.get("/console/audit").text
    assert "key.create" in page
    assert "ana@example.org" in page
    assert "key program" in page
    assert house.users.get("ana@example.org").id not in page


def test_the_audit_log_tells_amounts_and_lists_as_people_do(
    house: House, client: TestClient
) -> None:
    Ledger(house.assistant.store).credit("owner", 12_500_000)
    page = client.get("/console/audit").text
    assert "amount: 12.50" in page
    assert "micros" not in page


def test_a_key_comes_with_an_address_and_a_command_to_try_it(client: TestClient) -> None:
    page = unescape(client.get("/console/keys").text)
    assert "http://localhost/v1" in page
    assert "curl http://localhost/v1/chat/completions" in page
    assert "'Authorization: Bearer KEY'" in page


@pytest.mark.parametrize("host", ["localhost", "puna.example"])
def test_a_link_that_opens_here_alone_says_so(house: House, host: str) -> None:
    house.desk.settings = replace(house.desk.settings, hosts=(host,))
    page = owner(house, f"http://{host}").get("/console/users").text
    assert ("on this machine alone" in page) == (host == "localhost")


@pytest.mark.parametrize("page", ["keys", "users"])
def test_ones_own_tenant_is_chosen_already(house: House, client: TestClient, page: str) -> None:
    house.tenants.create("Acme")
    assert '<option value="owner" selected>' in client.get(f"/console/{page}").text


def test_models_are_suggested_and_a_failed_fetch_is_put_away(
    house: House, client: TestClient
) -> None:
    assert "Fetch, 0.8 GB: Llama 3.2 1B" in client.get("/console/models").text
    assert client.post("/web/console/models", json={"name": "no-such-name"}).status_code == 202
    [pull] = house.pulls.list()
    deadline = time.monotonic() + 30
    while not pull.done and time.monotonic() < deadline:
        time.sleep(0.005)
    page = client.get("/console/models").text
    assert "Try again: no-such-name" in page
    assert client.delete(f"/web/console/pulls/{pull.id}").is_success
    assert "no-such-name" not in client.get("/console/models").text
    audit = client.get("/console/audit").text
    assert "models.pull" in audit
    assert "no-such-name" in audit


def test_what_does_not_fit_is_refused_in_words(client: TestClient) -> None:
    answer = client.post("/web/console/plans", json={"id": "x y", "title": "X"})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "letters, digits" in message
    assert (message[0], message[-1]) == ("A", ".")
    answer = client.post("/web/console/keys", json={"name": "x", "tenant": "owner", "more": 1})
    assert answer.status_code == 400


def test_people_choose_among_the_plans_that_are_offered(house: House, client: TestClient) -> None:
    ben, price = guest(house), {"*": Price(1_000_000, 250_000, 4_000_000)}
    house.plans.create(Plan("pro", "Pro", prices=price, offered=True))
    house.plans.create(Plan("gold", "Gold"))
    page = ben.get("/plan").text
    assert "Choose Pro" in page
    assert "Choose Gold" not in page
    for plan, status in (("gold", 403), ("none", 404), ("pro", 200)):
        assert ben.put("/web/plan", json={"plan": plan}).status_code == status, plan
    assert house.tenants.get("Guests").plan_id == "pro"
    assert "Choose Pro" not in ben.get("/plan").text
    assert house.audit.latest(1)[0].detail == {"plan": "pro"}
    assert (
        client.put("/web/plan", json={"plan": "pro"}).status_code == 403
    )  # owners use the console
    house.plans.change("gold", offered=True)
    house.users.create("ada@example.org", "a long password", tenant="Guests", role="admin")
    assert "Choose Gold" not in ben.get("/plan").text  # there is an administrator now
    assert ben.put("/web/plan", json={"plan": "gold"}).status_code == 403
    assert house.tenants.get("Guests").plan_id == "pro"


def test_a_guest_sees_what_is_left_of_the_plan(house: House, client: TestClient) -> None:
    page = guest(house).get("/plan").text
    assert "1,000,000 of 1,000,000 left" in page
    assert "ana@example.org" in page
