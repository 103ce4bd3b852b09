"""Limits hold exactly, refill evenly, and say when to come again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from puna.accounts import Ledger
from puna.accounts.ledger import Admission
from puna.chat import Usage
from puna.errors import LimitError, QuotaError, RateLimitError
from tests.accounts.world import World, check_books

REQUEST = Usage(60, 40)


@pytest.fixture
def world(world: World) -> World:
    world.ledger.credit("acme", 10**9)
    return world


def admit(world: World, estimate: Usage = REQUEST) -> Admission:
    return world.ledger.admit(world.caller, "smollm2", estimate)


def wait_if_refused(world: World) -> float:
    """Try; return the seconds after which it may be tried again, 0 if it went well."""
    try:
        admit(world)
    except RateLimitError as error:
        return error.retry_after_s or 0.0
    return 0.0


def wait_s(error: pytest.ExceptionInfo[LimitError]) -> float:
    assert error.value.retry_after_s is not None
    return error.value.retry_after_s


def test_requests_a_minute_refill_evenly(world: World) -> None:
    world.limit(requests_per_minute=6)
    for left in (5, 4, 3, 2, 1, 0):
        assert admit(world).standing.rates.requests.remaining == left
    with pytest.raises(RateLimitError, match=r"6 requests a minute; try again in 10\.0 s") as error:
        admit(world)
    assert wait_s(error) == 10
    world.clock.move(9.999999)
    with pytest.raises(RateLimitError):
        admit(world)
    world.clock.move(0.000001)
    admit(world)
    world.clock.move(60)
    assert world.ledger.standing(world.caller).rates.requests.remaining == 6


def test_tokens_a_minute_count_what_was_used_in_the_end(world: World) -> None:
    world.limit(tokens_per_minute=250)
    first, _second = admit(world), admit(world)
    with pytest.raises(RateLimitError, match="250 tokens a minute") as error:
        admit(world)
    assert wait_s(error) == 12  # 50 tokens of 250 a minute
    world.ledger.settle(first, Usage(40, 10), "success")
    assert admit(world).standing.rates.tokens.remaining == 0


def test_a_request_that_never_fits_is_told_so(world: World) -> None:
    world.limit(tokens_per_minute=99)
    with pytest.raises(RateLimitError, match="lower max_tokens") as error:
        admit(world)
    assert error.value.retry_after_s is None


def test_requests_at_once(world: World) -> None:
    world.limit(concurrent_requests=2)
    first, _ = admit(world), admit(world)
    with pytest.raises(RateLimitError, match="2 requests at once") as error:
        admit(world)
    assert wait_s(error) == 1
    world.ledger.settle(first, REQUEST, "disconnect")
    assert admit(world).standing.rates.concurrent_requests.remaining == 0


def test_a_months_tokens_start_anew_with_the_month(world: World) -> None:
    world.limit(monthly_tokens=250)
    world.clock.now = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    first, second = admit(world), admit(world)
    with pytest.raises(QuotaError, match="250 tokens a month; 200 are used or reserved") as error:
        admit(world)
    assert wait_s(error) == 1
    world.ledger.settle(first, REQUEST, "success")
    world.clock.move(1)
    # What began in December and ends in January counts for January.
    assert admit(world).standing.rates.monthly_tokens.remaining == 50
    world.ledger.settle(second, REQUEST, "success")
    assert world.ledger.standing(world.caller).rates.monthly_tokens.remaining == 50


@pytest.mark.parametrize("seconds", [1, 59, 61, 119, 121, 86_400])
def test_after_a_clock_is_set_back_nobody_waits_for_long(world: World, seconds: int) -> None:
    world.limit(requests_per_minute=6)
    for _ in range(6):
        admit(world)
    world.clock.move(-seconds)
    waited_s = wait_if_refused(world)
    assert 0 < waited_s <= 70 or seconds > 60
    world.clock.move(waited_s)
    admit(world)


def test_a_refused_request_counts_nowhere(world: World) -> None:
    caller = world.limit(requests_per_minute=6, tokens_per_minute=1000, concurrent_requests=1)
    admission = admit(world)
    before = world.ledger.standing(caller)
    for _ in range(20):
        with pytest.raises(RateLimitError):
            admit(world)
    assert world.ledger.standing(caller) == before
    world.ledger.settle(admission, REQUEST, "success")
    check_books(world.store)


def test_a_key_with_its_own_plan_has_its_own_rates_and_the_tenants_money(world: World) -> None:
    world.limit(requests_per_minute=1)
    kiosk = world.keys.verify(world.keys.create("kiosk", "acme", plan_id="paid").secret)
    admit(world)
    world.ledger.admit(kiosk, "smollm2", REQUEST)
    with pytest.raises(RateLimitError):
        admit(world)
    assert world.ledger.balance("acme").reserved_micros == 2 * (60 + 4 * 40)


def test_the_standing_is_the_same_in_another_process(world: World) -> None:
    world.limit(requests_per_minute=6)
    admit(world)
    other = Ledger(world.store, world.clock)
    assert other.standing(world.caller) == world.ledger.standing(world.caller)
