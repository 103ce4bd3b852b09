"""Stripe over a real socket: a stand-in that answers as its documentation says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from puna.accounts import Payments, Plan, Price
from puna.accounts.signature import sign
from puna.accounts.stripe import HEADER, Stripe
from puna.errors import InvalidParameterError, PaymentError
from tests.accounts.world import World, check_books

API_KEY, WEBHOOK_SECRET = "sk_test_abc", "whsec_test"


class StandIn(ThreadingHTTPServer):
    """Keeps Checkout Sessions; a repeated Idempotency-Key returns the first one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sessions: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.forms: list[dict[str, str]] = []
        self.fail = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.forms.append(form)
        key = self.headers["Idempotency-Key"]
        if key not in self.server.by_key:
            session_id = f"cs_test_{len(self.server.sessions)}"
            self.server.by_key[key] = session_id
            self.server.sessions[session_id] = {
                "id": session_id,
                "url": f"https://checkout.stripe.com/c/pay/{session_id}",
                "payment_status": "unpaid",
                "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
                "currency": form["line_items[0][price_data][currency]"],
            }
        self.answer(self.server.sessions[self.server.by_key[key]])

    def do_GET(self) -> None:
        self.answer(self.server.sessions.get(self.path.rpartition("/")[2]))

    def answer(self, session: dict[str, Any] | None) -> None:
        if self.headers["Authorization"] != f"Bearer {API_KEY}":
            status, body = 401, {"error": {"message": "Invalid API Key"}}
        elif session is None:
            status, body = 404, {"error": {"message": "No such checkout.session"}}
        else:
            status, body = 200, session
        content = b"<html>" if self.server.fail else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def stripe(stand_in: StandIn) -> Iterator[Stripe]:
    stripe = Stripe(API_KEY, WEBHOOK_SECRET, "http://127.0.0.1:8600/", api=stand_in.url)
    yield stripe
    stripe.close()


@pytest.fixture
def payments(world: World, stripe: Stripe) -> Payments:
    return Payments(world.store, world.ledger, stripe, world.clock)


def webhook(
    world: World, session: dict[str, Any], kind: str = "checkout.session.completed"
) -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"id": "evt_1", "type": kind, "data": {"object": session}}).encode()
    return body, {HEADER: sign(body, WEBHOOK_SECRET, world.clock())}


def test_a_checkout_is_paid_and_credited_once(
    world: World, payments: Payments, stand_in: StandIn
) -> None:
    checkout = payments.checkout("acme", 25_000_000)
    assert checkout.url == "https://checkout.stripe.com/c/pay/cs_test_0"
    form = stand_in.forms[0]
    assert form["mode"] == "payment"
    assert form["line_items[0][price_data][unit_amount]"] == "2500"
    assert form["line_items[0][price_data][currency]"] == "usd"
    session = stand_in.sessions[checkout.id]
    assert payments.receive(*webhook(world, session)) is False  # completed, but not yet paid
    session["payment_status"] = "paid"
    late = "checkout.session.async_payment_succeeded"
    assert payments.receive(*webhook(world, session, late)) is True
    assert payments.receive(*webhook(world, session)) is False
    assert world.ledger.balance("acme").credited_micros == 25_000_000
    check_books(world.store)


def test_a_missed_message_is_made_up_for(
    world: World, payments: Payments, stand_in: StandIn
) -> None:
    checkout = payments.checkout("acme", 25_000_000)
    assert payments.refresh(checkout.id) is False
    stand_in.sessions[checkout.id]["payment_status"] = "paid"
    assert payments.refresh(checkout.id) is True
    assert payments.receive(*webhook(world, stand_in.sessions[checkout.id])) is False
    assert world.ledger.balance("acme").credited_micros == 25_000_000


def test_one_reference_makes_one_session(stripe: Stripe, stand_in: StandIn) -> None:
    assert stripe.checkout("pay_1", 10_000, "USD") == stripe.checkout("pay_1", 10_000, "USD")
    assert len(stand_in.sessions) == 1


@pytest.mark.parametrize(
    ("currency", "micros", "units"),
    [("USD", 10_000, "1"), ("JPY", 1_000_000, "1"), ("KWD", 1_000, "1"), ("EUR", 990_000, "99")],
)
def test_amounts_are_in_the_currencys_smallest_unit(
    stripe: Stripe, stand_in: StandIn, currency: str, micros: int, units: str
) -> None:
    stripe.checkout("pay_1", micros, currency)
    assert stand_in.forms[0]["line_items[0][price_data][unit_amount]"] == units
    with pytest.raises(InvalidParameterError, match="cannot be divided"):
        stripe.checkout("pay_2", micros + 1, currency)


def test_other_messages_are_not_payments(world: World, payments: Payments) -> None:
    assert payments.receive(*webhook(world, {}, "invoice.created")) is False


def test_a_refusal_is_told_without_the_key(
    world: World, stand_in: StandIn, payments: Payments
) -> None:
    wrong = Stripe("sk_test_wrong", WEBHOOK_SECRET, "http://x/", api=stand_in.url)
    with pytest.raises(PaymentError, match="refused with 401: Invalid API Key") as refused:
        wrong.checkout("pay_1", 10_000, "USD")
    assert "sk_test" not in str(refused.value)
    wrong.close()
    stand_in.fail = True
    with pytest.raises(PaymentError, match="did not answer"):
        payments.checkout("acme", 25_000_000)


def test_nobody_answers(world: World) -> None:
    away = Stripe(API_KEY, WEBHOOK_SECRET, "http://x/", api="http://127.0.0.1:1")
    with pytest.raises(PaymentError, match="did not answer: ConnectError"):
        away.checkout("pay_1", 10_000, "USD")
    away.close()


def test_a_tenants_currency_is_asked_for(world: World, payments: Payments) -> None:
    world.plans.create(Plan("euro", currency="EUR", prices={"*": Price(1, 1, 1)}))
    world.tenants.create("bee", "euro")
    assert payments.checkout("bee", 10_000).id
