"""Stripe over a real socket: a stand-in that answers as its documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from puna.accounts import Payments, Plan, Price
from puna.accounts.local_provider import LocalProvider
from puna.accounts.stripe import Stripe
from puna.errors import InvalidParameterError, PaymentError
from tests.accounts.stripe_stand_in import API_KEY, WEBHOOK_SECRET, StandIn, message, standing_in
from tests.accounts.world import World, check_books

ORIGIN = "https://chat.example.org"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with standing_in() as server:
        yield server


@pytest.fixture
def stripe(stand_in: StandIn) -> Iterator[Stripe]:
    stripe = Stripe(API_KEY, WEBHOOK_SECRET, api=stand_in.url)
    yield stripe
    stripe.close()


@pytest.fixture
def payments(world: World, stripe: Stripe) -> Payments:
    return Payments(world.store, world.ledger, stripe, world.clock)


def webhook(
    world: World, session: dict[str, Any], kind: str = "checkout.session.completed"
) -> tuple[bytes, dict[str, str]]:
    return message(session, world.clock(), kind)


def test_a_checkout_is_paid_and_credited_once(
    world: World, payments: Payments, stand_in: StandIn
) -> None:
    checkout = payments.checkout("acme", 25_000_000, ORIGIN)
    assert checkout.url == "https://checkout.stripe.com/c/pay/cs_test_0"
    form = stand_in.forms[0]
    assert form["mode"] == "payment"
    assert form["success_url"] == "https://chat.example.org/pay/{CHECKOUT_SESSION_ID}"
    assert form["cancel_url"] == "https://chat.example.org/plan"
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
    checkout = payments.checkout("acme", 25_000_000, ORIGIN)
    assert payments.refresh(checkout.id) is False
    stand_in.sessions[checkout.id]["payment_status"] = "paid"
    assert payments.refresh(checkout.id) is True
    assert payments.receive(*webhook(world, stand_in.sessions[checkout.id])) is False
    assert world.ledger.balance("acme").credited_micros == 25_000_000


def test_one_reference_makes_one_session(stripe: Stripe, stand_in: StandIn) -> None:
    assert stripe.checkout("pay_1", 10_000, "USD", ORIGIN) == stripe.checkout(
        "pay_1", 10_000, "USD", ORIGIN
    )
    assert len(stand_in.sessions) == 1


@pytest.mark.parametrize(
    ("currency", "micros", "units"),
    [("USD", 10_000, "1"), ("JPY", 1_000_000, "1"), ("KWD", 1_000, "1"), ("EUR", 990_000, "99")],
)
def test_amounts_are_in_the_currencys_smallest_unit(
    stripe: Stripe, stand_in: StandIn, currency: str, micros: int, units: str
) -> None:
    stripe.checkout("pay_1", micros, currency, ORIGIN)
    assert stand_in.forms[0]["line_items[0][price_data][unit_amount]"] == units
    with pytest.raises(InvalidParameterError, match="cannot be divided"):
        stripe.checkout("pay_2", micros + 1, currency, ORIGIN)


def test_other_messages_are_not_payments(world: World, payments: Payments) -> None:
    assert payments.receive(*webhook(world, {}, "invoice.created")) is False


def test_a_refusal_is_told_without_the_key(
    world: World, stand_in: StandIn, payments: Payments
) -> None:
    wrong = Stripe("sk_test_wrong", WEBHOOK_SECRET, api=stand_in.url)
    with pytest.raises(PaymentError, match="refused with 401: Invalid API Key") as refused:
        wrong.checkout("pay_1", 10_000, "USD", ORIGIN)
    assert "sk_test" not in str(refused.value)
    wrong.close()
    stand_in.fail = True
    with pytest.raises(PaymentError, match="did not answer"):
        payments.checkout("acme", 25_000_000, ORIGIN)


def test_nobody_answers(world: World) -> None:
    away = Stripe(API_KEY, WEBHOOK_SECRET, api="http://127.0.0.1:1")
    with pytest.raises(PaymentError, match="did not answer: ConnectError"):
        away.checkout("pay_1", 10_000, "USD", ORIGIN)
    away.close()


def test_a_tenants_currency_is_asked_for(world: World, payments: Payments) -> None:
    world.plans.create(Plan("euro", currency="EUR", prices={"*": Price(1, 1, 1)}))
    world.tenants.create("bee", "euro")
    assert payments.checkout("bee", 10_000, ORIGIN).id


def test_the_owner_asks_stripe_instead_of_saying_so(
    world: World, payments: Payments, stand_in: StandIn
) -> None:
    checkout = payments.checkout("acme", 25_000_000, ORIGIN)
    with pytest.raises(PaymentError, match="has not been paid yet, says stripe"):
        payments.confirm(checkout.id, actor="usr_owner")
    stand_in.sessions[checkout.id]["payment_status"] = "paid"
    assert payments.confirm(checkout.id, actor="usr_owner") is True
    assert payments.confirm(checkout.id, actor="usr_owner") is False
    assert world.ledger.balance("acme").credited_micros == 25_000_000
    elsewhere = Payments(world.store, world.ledger, LocalProvider(), world.clock)
    other = payments.checkout("acme", 1_000_000, ORIGIN)
    with pytest.raises(PaymentError, match="is with stripe"):
        elsewhere.confirm(other.id, actor="usr_owner")
