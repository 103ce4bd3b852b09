"""A reservation that grows: never past what there is, whoever else asks at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from puna.accounts import Admission, Plan
from puna.chat import Usage
from puna.errors import ConflictError, CreditError, LimitError, QuotaError
from tests.accounts.world import PRICE, World, check_books

STEP = 50


def test_many_answers_growing_at_once_share_exactly_what_there_is(world: World) -> None:
    """Credits for ten steps beside the admissions: of forty that are asked for ten are granted."""
    caller = world.caller
    price = PRICE.cost_micros(Usage(0, STEP))
    world.ledger.credit("acme", 8 * PRICE.cost_micros(Usage(10, 0)) + 10 * price)
    admissions = [world.ledger.admit(caller, "m", Usage(10, 0)) for _ in range(8)]

    def grow(admission: Admission) -> int:
        return sum(_extended(world, admission) for _ in range(5))

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(grow, admissions))
    assert sum(granted) == 10
    assert world.ledger.balance("acme").available_micros == 0
    for admission, steps in zip(admissions, granted, strict=True):
        usage = Usage(10, steps * STEP)
        charge = world.ledger.settle(admission, usage, "success")
        assert charge.cost_micros == PRICE.cost_micros(usage)
    assert world.ledger.balance("acme").available_micros == 0
    check_books(world.store)


def _extended(world: World, admission: Admission) -> bool:
    try:
        world.ledger.extend(world.caller, admission, STEP)
    except CreditError:
        return False
    return True


@pytest.mark.parametrize(
    "limits", [{"monthly_tokens": 100}, {"tokens_per_minute": 100}], ids=["month", "minute"]
)
def test_tokens_are_limited_while_requests_are_counted_once(
    world: World, limits: dict[str, int]
) -> None:
    caller = world.limit(**limits, requests_per_minute=1, concurrent_requests=1)
    world.ledger.credit("acme", 10**9)
    admission = world.ledger.admit(caller, "m", Usage(10, 40))
    world.ledger.extend(caller, admission, 50)
    before = world.ledger.standing(caller)
    with pytest.raises(LimitError):
        world.ledger.extend(caller, admission, 1)
    assert world.ledger.standing(caller) == before
    assert before.rates.concurrent_requests.remaining == 0
    world.ledger.settle(admission, Usage(10, 60), "disconnect")
    after = world.ledger.standing(caller).rates
    assert after.concurrent_requests.remaining == 1
    assert 30 in (after.tokens.remaining, after.monthly_tokens.remaining)
    check_books(world.store)


def test_what_is_settled_grows_no_more(world: World) -> None:
    world.ledger.credit("acme", 10**6)
    admission = world.ledger.admit(world.caller, "m", Usage(1, 1))
    world.ledger.settle(admission, Usage(1, 1), "success")
    with pytest.raises(ConflictError):
        world.ledger.extend(world.caller, admission, 1)
    check_books(world.store)


def test_a_crash_gives_back_what_was_reserved_later_too(world: World) -> None:
    world.plans.create(Plan("small", monthly_tokens=60, prices={"*": PRICE}))
    world.tenants.set_plan("acme", "small")
    world.ledger.credit("acme", 10**6)
    admission = world.ledger.admit(world.caller, "m", Usage(10, 20))
    world.ledger.extend(world.caller, admission, 30)
    with pytest.raises(QuotaError):
        world.ledger.extend(world.caller, admission, 1)
    world.ledger.renew({admission.id: Usage(10, 25)})
    world.clock.move(60)
    assert world.ledger.release_stale() == 1
    assert world.ledger.balance("acme").spent_micros == PRICE.cost_micros(Usage(10, 25))
    check_books(world.store)
