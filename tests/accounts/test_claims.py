"""What is begun anew under one claim is paid for once, in whatever order its attempts end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from puna.chat import Usage
from tests.accounts.world import PRICE, World, check_books

WHOLE = Usage(100, 50, 20)
ATTEMPTS = (Usage(100, 30), Usage(100, 50, 96), WHOLE)  # killed, its record lost, answered


@pytest.fixture
def rich(world: World) -> World:
    world.ledger.credit("acme", 10**6)
    return world


def attempt(world: World, usage: Usage, claim: str | None = "clm_one") -> Usage:
    admission = world.ledger.admit(world.caller, "smollm2", Usage(200, 100), claim)
    return world.ledger.settle(admission, usage, "success").usage


def test_the_next_attempt_pays_what_the_one_before_has_not(rich: World) -> None:
    assert attempt(rich, Usage(100, 30)) == Usage(100, 30)
    assert attempt(rich, WHOLE) == Usage(0, 20)
    assert attempt(rich, WHOLE) == Usage()
    spent = PRICE.cost_micros(Usage(100, 50))  # nothing was cached where the prompt was paid for
    assert rich.ledger.balance("acme").spent_micros == spent
    check_books(rich.store)


@pytest.mark.parametrize("order", list(permutations(ATTEMPTS)), ids=str)
def test_in_any_order_all_attempts_pay_one_answer(rich: World, order: tuple[Usage, ...]) -> None:
    paid = sum((attempt(rich, usage) for usage in order), Usage())
    assert (paid.prompt_tokens, paid.completion_tokens) == (100, 50)
    check_books(rich.store)


def test_a_claim_of_its_own_and_none_are_paid_apart(rich: World) -> None:
    claims = ("clm_one", "clm_two", None, None)
    assert [attempt(rich, WHOLE, claim) for claim in claims] == [WHOLE] * 4


def test_a_crash_that_is_found_late_is_paid_already(rich: World) -> None:
    ledger = rich.ledger
    lost = ledger.admit(rich.caller, "smollm2", Usage(200, 100), "clm_one")
    ledger.renew({lost.id: Usage(100, 30)})
    assert attempt(rich, WHOLE) == WHOLE
    assert ledger.release_stale(0) == 1
    assert ledger.balance("acme").spent_micros == PRICE.cost_micros(WHOLE)
    check_books(rich.store)


def test_attempts_that_end_at_once_pay_one_answer(rich: World) -> None:
    rich.limit(requests_per_minute=None, concurrent_requests=None)
    for number in range(5):
        with ThreadPoolExecutor(8) as pool:
            paid = list(pool.map(lambda _: attempt(rich, WHOLE, f"clm_{number}"), range(8)))  # noqa: B023
        assert sorted(usage.total_tokens for usage in paid) == [0] * 7 + [150]
    check_books(rich.store)
