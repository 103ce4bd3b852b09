"""Credits are bought over the socket: a checkout, Stripe's signed message, once and once only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from puna.accounts import Links, Plan, Plans, Price, Sessions, Tenants, Users, utc_now
from puna.accounts.stripe import Stripe
from tests.accounts.stripe_stand_in import API_KEY, WEBHOOK_SECRET, StandIn, message, standing_in
from tests.server.serving import Served, served

PASSWORD = "a long password"


@dataclass
class Shop:
    """A server that sells credits, and three people in front of their browsers."""

    served: Served
    stripe: StandIn
    owner: httpx2.Client
    buyer: httpx2.Client
    stranger: httpx2.Client
    tenant: str

    def credited(self) -> int:
        return self.served.services.ledger.balance(self.tenant).credited_micros

    def hook(self, session: dict[str, Any], **about: Any) -> httpx2.Response:
        body, headers = message(session, utc_now(), **about)
        return httpx2.post(f"{self.served.url}/webhooks/payments", content=body, headers=headers)

    def begin(self, amount: str) -> httpx2.Response:
        return self.buyer.post("/web/checkouts", json={"amount": amount})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Shop]:
    with standing_in() as stand_in:
        stripe = Stripe(API_KEY, WEBHOOK_SECRET, api=stand_in.url)
        with served(tmp_path_factory.mktemp("shop"), tiny_path, provider=stripe) as running:
            store = running.services.store
            Plans(store).create(Plan("priced", prices={"*": Price(1_000_000, 250_000, 4_000_000)}))
            tenant = Tenants(store).create("Buyers", "priced").id
            users = Users(store)
            owner = browser(running, users, "owner", None)
            buyer = browser(running, users, "buyer", tenant)
            stranger = browser(running, users, "stranger", running.other_tenant)
            with owner, buyer, stranger:
                yield Shop(running, stand_in, owner, buyer, stranger, tenant)
        stripe.close()


def browser(running: Served, users: Users, who: str, tenant: str | None) -> httpx2.Client:
    """Somebody who is signed in, as their browser asks."""
    links = Links(running.services.store, users)
    token = links.invite(tenant) if tenant else links.for_owner()
    assert token is not None
    user = links.accept(token, f"{who}@example.org", PASSWORD, who)
    cookie = Sessions(running.services.store).create(user.id)
    headers = {"X-Puna": "page", "Cookie": f"puna_session={cookie}"}
    return httpx2.Client(base_url=running.url, headers=headers, timeout=30)


def test_a_signed_message_credits_once(shop: Shop) -> None:
    begun = shop.begin("25.00")
    assert begun.status_code == 201
    session_id = begun.json()["next"].rpartition("/")[2]
    session = shop.stripe.sessions[session_id]
    assert "not paid yet" in shop.buyer.get("/plan").text
    assert "has not said yet" in shop.buyer.get(f"/pay/{session_id}").text
    before = shop.credited()
    assert shop.hook(session).status_code == 200  # completed, but not paid
    assert shop.credited() == before
    session["payment_status"] = "paid"
    for _ in range(3):
        answer = shop.hook(session)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert shop.credited() == before + 25_000_000
    page = shop.buyer.get(f"/pay/{session_id}").text
    assert "It has been added to your credits" in page
    assert "paid on" in shop.buyer.get("/plan").text
    assert session_id in shop.owner.get("/console/credits").text


def test_what_is_forged_or_wrong_credits_nothing(shop: Shop) -> None:
    session_id = shop.begin("5").json()["next"].rpartition("/")[2]
    paid = {**shop.stripe.sessions[session_id], "payment_status": "paid"}
    before = shop.credited()
    forged = shop.hook(paid, secret="whsec_guessed")
    assert forged.status_code == 400
    assert "signature is wrong" in forged.json()["error"]["message"]
    bare = httpx2.post(f"{shop.served.url}/webhooks/payments", content=b"{}")
    assert bare.status_code == 400
    more = shop.hook({**paid, "amount_total": 999_999})
    assert "for another amount" in more.json()["error"]["message"]
    unknown = shop.hook({**paid, "id": "cs_unknown"})
    assert unknown.status_code == 400
    assert shop.credited() == before


def test_a_missed_message_is_made_up_for_when_the_buyer_comes_back(shop: Shop) -> None:
    session_id = shop.begin("7.50").json()["next"].rpartition("/")[2]
    before = shop.credited()
    shop.stripe.sessions[session_id]["payment_status"] = "paid"
    assert "It has been added" in shop.buyer.get(f"/pay/{session_id}").text
    assert shop.credited() == before + 7_500_000


def test_the_owner_asks_stripe(shop: Shop) -> None:
    session_id = shop.begin("3").json()["next"].rpartition("/")[2]
    address = f"/web/console/checkouts/{session_id}/confirm"
    assert "Ask Stripe" in shop.owner.get("/console/credits").text
    unpaid = shop.owner.post(address)
    assert unpaid.status_code == 400
    assert "has not been paid yet" in unpaid.json()["error"]["message"]
    before = shop.credited()
    shop.stripe.sessions[session_id]["payment_status"] = "paid"
    assert shop.owner.post(address).json() == {"credited": True}
    assert shop.owner.post(address).json() == {"credited": False}
    assert shop.credited() == before + 3_000_000


def test_a_payment_is_its_tenants_alone(shop: Shop) -> None:
    session_id = shop.begin("4").json()["next"].rpartition("/")[2]
    for address in (f"/pay/{session_id}", "/pay/cs_none"):
        assert shop.stranger.get(address).status_code == 404
    assert session_id not in shop.stranger.get("/plan").text
    confirm = f"/web/console/checkouts/{session_id}/confirm"
    assert shop.buyer.post(confirm).status_code == 404
    away = httpx2.get(f"{shop.served.url}/pay/{session_id}")
    assert (away.status_code, away.headers["location"]) == (303, f"/login?next=/pay/{session_id}")


@pytest.mark.parametrize("amount", ["0", "-5", "much", "", "0.001"])
def test_a_wrong_amount_is_said(shop: Shop, amount: str) -> None:
    answer = shop.begin(amount)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_who_has_no_prices_has_nothing_to_pay(shop: Shop) -> None:
    answer = shop.owner.post("/web/checkouts", json={"amount": "5"})
    assert answer.status_code == 400
    assert "Add credit" not in shop.owner.get("/plan").text


def test_payments_are_off_unless_somebody_turns_them_on(server: Served) -> None:
    answer = httpx2.post(f"{server.url}/webhooks/payments", content=b"{}")
    assert answer.status_code == 404
    assert "payments are off" in answer.json()["error"]["message"]
