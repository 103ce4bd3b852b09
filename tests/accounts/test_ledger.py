"""Admission reserves, settlement charges once, and the books always balance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from puna.accounts import Ledger, Outcome
from puna.accounts.entries import OUTCOMES, EntryRow
from puna.accounts.reservations import ReservationRow
from puna.chat import Usage
from puna.errors import CreditError, ForbiddenError, InvalidParameterError, RateLimitError
from tests.accounts.world import World, check_books

ESTIMATE = Usage(100, 50)  # 300 micro-units
USED = Usage(100, 20, cached_tokens=40)  # 60 + 10 + 80 = 150 micro-units


@pytest.fixture
def world(world: World) -> World:
    world.ledger.credit("acme", 1000, note="a start")
    return world


def test_a_request_is_reserved_and_then_charged_what_it_took(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    assert admission.standing.balance.reserved_micros == 300
    assert admission.standing.balance.available_micros == 700
    charge = world.ledger.settle(admission, USED, "success")
    assert (charge.cost_micros, charge.usage, charge.outcome) == (150, USED, "success")
    assert world.ledger.balance("acme").available_micros == 850
    check_books(world.store)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_end_charges_what_the_engine_counted(world: World, outcome: Outcome) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    assert world.ledger.settle(admission, USED, outcome).cost_micros == 150
    check_books(world.store)


def test_a_second_settlement_changes_nothing(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    first = world.ledger.settle(admission, USED, "success")
    assert world.ledger.settle(admission, Usage(1, 1), "error") == first
    check_books(world.store)


def test_of_many_settlements_at_once_one_counts(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    with ThreadPoolExecutor(16) as pool:
        charges = set(
            pool.map(lambda _: world.ledger.settle(admission, USED, "success"), range(32))
        )
    assert len(charges) == 1
    with world.store.read() as session:
        rows = select(func.count()).where(EntryRow.reference == admission.id)
        assert session.scalar(rows) == 1
    check_books(world.store)


def test_without_credits_nothing_is_admitted_or_counted(world: World) -> None:
    for _ in range(3):
        world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    before = world.ledger.standing(world.caller)
    message = r"may cost 0\.000300 USD, and 0\.000100 are left; add credits"
    with pytest.raises(CreditError, match=message) as refused:
        world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    assert refused.value.retry_after_s is None
    assert world.ledger.standing(world.caller) == before


def test_a_check_refuses_what_would_not_be_admitted_and_counts_nothing(world: World) -> None:
    before = world.ledger.standing(world.caller)
    world.ledger.check(world.caller, "smollm2")
    assert world.ledger.standing(world.caller) == before
    world.ledger.credit("acme", -1000, note="taken back")
    with pytest.raises(CreditError, match="add credits"):
        world.ledger.check(world.caller, "smollm2")
    hasty = replace(world.caller, plan=replace(world.caller.plan, prices={}, requests_per_minute=1))
    world.ledger.check(hasty, "smollm2")
    world.ledger.admit(hasty, "smollm2", ESTIMATE)
    with pytest.raises(RateLimitError):
        world.ledger.check(hasty, "smollm2")


def test_more_than_was_estimated_is_never_taken_from_the_balance(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", Usage(10, 10))
    charge = world.ledger.settle(admission, Usage(10, 500), "success")
    assert charge.cost_micros == admission.reserved_micros == 50
    assert charge.usage.completion_tokens == 500
    check_books(world.store)


def test_a_price_that_changes_does_not_reach_a_request_under_way(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    world.limit(prices={})
    assert world.ledger.settle(admission, USED, "success").cost_micros == 150


def test_a_model_outside_the_plan_is_refused(world: World) -> None:
    caller = world.limit(models=("smollm2",))
    with pytest.raises(ForbiddenError, match="offers smollm2, not 'llama'"):
        world.ledger.admit(caller, "llama", ESTIMATE)
    check_books(world.store)


@pytest.mark.parametrize("usage", [Usage(-1, 5), Usage(5, -1), Usage(5, 5, 6), Usage(2**50, 1)])
def test_what_is_no_count_of_tokens_is_refused(world: World, usage: Usage) -> None:
    with pytest.raises(InvalidParameterError, match="no count of tokens"):
        world.ledger.admit(world.caller, "smollm2", usage)
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    with pytest.raises(InvalidParameterError, match="no count of tokens"):
        world.ledger.settle(admission, usage, "success")


def test_a_lease_that_runs_out_is_settled_to_what_was_last_counted(world: World) -> None:
    kept = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    lost = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    world.ledger.renew({kept.id: Usage(100, 1), lost.id: USED})
    world.clock.move(59)
    world.ledger.renew({kept.id: Usage(100, 2)})
    assert world.ledger.release_stale() == 0
    world.clock.move(1)
    assert world.ledger.release_stale() == 1
    charge = world.ledger.settle(lost, Usage(0, 0), "success")  # too late: it is settled
    assert (charge.outcome, charge.cost_micros) == ("crash", 150)
    world.ledger.settle(kept, USED, "success")
    check_books(world.store)


def test_what_a_dead_process_held_is_released_at_once(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    with world.store.write() as session:
        row = session.get(ReservationRow, admission.id)
        assert row is not None
        machine, pid, _ = row.holder.split(":")
        row.holder = f"{machine}:{pid}:1"  # another process that had this number
    assert world.ledger.release_stale() == 1
    check_books(world.store)


def test_another_machines_reservation_waits_for_its_lease(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    with world.store.write() as session:
        row = session.get(ReservationRow, admission.id)
        assert row is not None
        row.holder = "elsewhere:1:1"
    assert world.ledger.release_stale() == 0
    world.clock.move(60)
    assert world.ledger.release_stale() == 1


def test_credits_count_once_a_reference(world: World) -> None:
    for _ in range(3):
        world.ledger.credit("acme", 500, reference="transfer 7")
    assert world.ledger.balance("acme").credited_micros == 1500


def test_only_what_is_free_can_be_taken_back(world: World) -> None:
    world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    with pytest.raises(CreditError, match="neither spent nor reserved"):
        world.ledger.credit("acme", -701)
    assert world.ledger.credit("acme", -700).available_micros == 0
    with pytest.raises(InvalidParameterError, match="not 0"):
        world.ledger.credit("acme", 0)


def test_two_ledgers_know_of_each_other(world: World) -> None:
    """Nothing waits in memory: another process settles what this one admitted."""
    admission = world.ledger.admit(world.caller, "smollm2", ESTIMATE)
    Ledger(world.store, world.clock).settle(admission, USED, "shutdown")
    check_books(world.store)
