"""What was paid becomes credits, once, and only for the amount that was asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from puna.accounts import Audit, Payments
from puna.accounts.local_provider import LocalProvider
from puna.accounts.payments import MOST_OPEN, Paid
from puna.errors import InvalidParameterError, NotFoundError, PaymentError, RateLimitError
from tests.accounts.world import World, check_books

ORIGIN = "http://127.0.0.1:8600"


@pytest.fixture
def provider() -> LocalProvider:
    return LocalProvider()


@pytest.fixture
def payments(world: World, provider: LocalProvider) -> Payments:
    return Payments(world.store, world.ledger, provider, world.clock)


def test_payments_are_off_unless_someone_takes_them(world: World) -> None:
    off = Payments(world.store, world.ledger, None)
    with pytest.raises(PaymentError, match="payments are off"):
        off.checkout("acme", 5_000_000, ORIGIN)
    with pytest.raises(PaymentError, match="payments are off"):
        off.receive(b"{}", {})


def test_a_paid_checkout_becomes_credits(
    world: World, payments: Payments, provider: LocalProvider
) -> None:
    checkout = payments.checkout("acme", 5_000_000, ORIGIN)
    assert checkout.url.startswith("http://127.0.0.1:8600/pay/pay_")
    message = provider.witness(Paid("evt_1", checkout.id, 5_000_000, "USD"), world.clock())
    assert payments.receive(*message) is True
    assert world.ledger.balance("acme").available_micros == 5_000_000
    check_books(world.store)


def test_a_message_sent_again_and_again_counts_once(
    world: World, payments: Payments, provider: LocalProvider
) -> None:
    checkout = payments.checkout("acme", 5_000_000, ORIGIN)
    message = provider.witness(Paid("evt_1", checkout.id, 5_000_000, "USD"), world.clock())
    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(lambda _: payments.receive(*message), range(20))) == 1
    second = provider.witness(Paid("evt_2", checkout.id, 5_000_000, "USD"), world.clock())
    assert payments.receive(*second) is False  # another event of the same checkout
    assert world.ledger.balance("acme").credited_micros == 5_000_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"amount_micros": 1}, "for another amount"),
        ({"currency": "EUR"}, "for another amount"),
        ({"checkout_id": "pay_unknown"}, "no checkout 'pay_unknown'"),
    ],
)
def test_what_was_not_asked_for_is_refused(
    world: World, payments: Payments, provider: LocalProvider, wrong: dict[str, Any], message: str
) -> None:
    checkout = payments.checkout("acme", 5_000_000, ORIGIN)
    paid = replace(Paid("evt_1", checkout.id, 5_000_000, "USD"), **wrong)
    with pytest.raises(PaymentError, match=message):
        payments.receive(*provider.witness(paid, world.clock()))
    assert world.ledger.balance("acme").credited_micros == 0


def test_a_forged_message_is_refused(world: World, payments: Payments) -> None:
    checkout = payments.checkout("acme", 5_000_000, ORIGIN)
    paid = Paid("evt_1", checkout.id, 5_000_000, "USD")
    with pytest.raises(PaymentError, match="signature is wrong"):
        payments.receive(*LocalProvider("a guess").witness(paid, world.clock()))


def test_an_amount_to_pay_is_positive(payments: Payments) -> None:
    with pytest.raises(InvalidParameterError, match="more than 0"):
        payments.checkout("acme", 0, ORIGIN)


def test_the_owners_word_counts_once(world: World, payments: Payments) -> None:
    checkout = payments.checkout("acme", 5_000_000, ORIGIN)
    assert payments.get(checkout.id).paid_at is None
    assert payments.confirm(checkout.id, actor="usr_owner") is True
    assert payments.confirm(checkout.id, actor="usr_owner") is False
    assert payments.get(checkout.id).paid_at == world.clock()
    assert world.ledger.balance("acme").credited_micros == 5_000_000
    latest = Audit(world.store).latest(1)[0]
    assert (latest.actor, latest.action) == ("usr_owner", "credits.add")
    with pytest.raises(NotFoundError, match="no payment 'pay_none'"):
        payments.confirm("pay_none", actor="usr_owner")


def test_nobody_begins_payments_without_end(world: World, payments: Payments) -> None:
    begun = [payments.checkout("acme", 1_000_000, ORIGIN).id for _ in range(MOST_OPEN)]
    with pytest.raises(RateLimitError, match="20 payments were begun today"):
        payments.checkout("acme", 1_000_000, ORIGIN)
    payments.confirm(begun[0], actor="usr_owner")
    assert payments.checkout("acme", 1_000_000, ORIGIN).id
    assert len(payments.latest(limit=100)) == MOST_OPEN + 1
    assert payments.latest(world.tenants.create("bee", "free").id) == []
