"""The ledger's history: money that came and went, the latest first, page after page."""

from __future__ import annotations

from puna.accounts import Plan, Store
from puna.accounts.history import History
from puna.chat import Usage
from tests.accounts.world import ManualClock, World


def test_credits_and_charges_are_told_the_latest_first(store: Store, clock: ManualClock) -> None:
    world, history = World(store, clock), History(store)
    world.ledger.credit("acme", 5_000_000, note="transfer of 24 November")
    for tokens in (10, 0):
        admission = world.ledger.admit(world.caller, "smollm2", Usage(100, 10))
        world.ledger.settle(admission, Usage(0, tokens), "success")
    world.ledger.credit("acme", -1_000_000)
    other = world.tenants.create("bee", "paid")
    world.ledger.credit(other.id, 7)
    told = history.latest(world.tenant.id)
    assert [(one.kind, one.amount_micros) for one in told] == [
        ("credit", -1_000_000),
        ("charge", -40),
        ("credit", 5_000_000),
    ]
    charge, credit = told[1], told[2]
    assert (charge.model, charge.key_id, charge.currency) == ("smollm2", world.key.key.id, "USD")
    assert credit.note == "transfer of 24 November"
    assert sum(one.amount_micros for one in told) == world.ledger.balance("acme").available_micros
    assert history.latest(limit=1)[0].tenant_id == other.id
    assert history.latest(world.tenant.id, limit=1) == told[:1]
    assert history.latest(world.tenant.id, before=told[0].number) == told[1:]


def test_what_costs_nothing_is_left_out(store: Store, clock: ManualClock) -> None:
    world = World(store, clock)
    world.plans.create(Plan("gratis"))
    world.tenants.set_plan("acme", "gratis")
    world.ledger.settle(world.ledger.admit(world.caller, "m", Usage(5, 5)), Usage(5, 5), "success")
    assert History(store).latest() == []
