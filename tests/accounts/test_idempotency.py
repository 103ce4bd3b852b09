"""A request sent many times is done once and answered alike."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from puna.accounts import Claim, Idempotency, Ledger, Recorded, Store
from puna.accounts.idempotency import IdempotencyRow, RepeatBounds
from puna.errors import ConflictError, InvalidParameterError, QuotaError, RateLimitError
from tests.accounts.senders import BODY, check_senders, check_senders_killed, pay
from tests.accounts.world import ManualClock


def credited(store: Store) -> int:
    return Ledger(store).balance("owner").credited_micros


@pytest.mark.parametrize("senders", [2, 7, 20])
def test_sent_in_parallel_it_is_done_once_and_answered_alike(store: Store, senders: int) -> None:
    for number in range(10):
        before = credited(store)
        with ThreadPoolExecutor(senders) as pool:
            answers = list(pool.map(lambda _: pay(store, f"key {number}"), range(senders)))  # noqa: B023
        assert credited(store) == before + 5
        assert {(answer.status, answer.body) for answer in answers} == {
            (201, f"now {before + 5}".encode())
        }
        assert sum(not answer.replayed for answer in answers) == 1


def test_sent_by_two_processes_it_is_done_once(url: str) -> None:
    check_senders(url, keys=10)


def test_sent_again_after_a_kill_it_is_done_once(url: str, folder: Path) -> None:
    assert check_senders_killed(url, folder / "answered", kills=2) > 2


def test_another_body_under_the_same_key_is_refused(store: Store) -> None:
    pay(store, "key")
    with pytest.raises(ConflictError, match="used for another request"):
        pay(store, "key", b"POST /credits {more}")
    assert credited(store) == 5


def test_another_tenants_key_is_another_key(store: Store) -> None:
    assert pay(store, "key", tenant="a").replayed is False
    assert pay(store, "key", b"something else", tenant="b").replayed is False
    assert credited(store) == 10


def test_what_failed_is_not_remembered(store: Store) -> None:
    def fail() -> Recorded:
        Ledger(store).credit("owner", 5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Idempotency(store).once("a", "key", BODY, fail)
    assert credited(store) == 0
    pay(store, "key")


def test_it_is_kept_for_a_day(store: Store, clock: ManualClock) -> None:
    kept = Idempotency(store, clock)
    answer = Recorded(200, b"first")
    kept.once("a", "key", BODY, lambda: answer)
    clock.move(24 * 3600 - 1)
    assert kept.forget_old() == 0
    assert kept.once("a", "key", BODY, lambda: Recorded(200, b"second")).body == b"first"
    clock.move(1)
    assert kept.once("a", "key", BODY, lambda: Recorded(200, b"third")).body == b"third"
    clock.move(24 * 3600)
    assert kept.forget_old() == 1


def test_a_long_request_is_claimed_and_then_finished(store: Store) -> None:
    kept = Idempotency(store)
    claim = begun(kept)
    with pytest.raises(RateLimitError, match="being answered") as busy:
        kept.begin("a", "key", BODY)
    assert busy.value.retry_after_s == 1
    kept.finish(claim, Recorded(200, b"done"))
    assert kept.begin("a", "key", BODY) == Recorded(200, b"done", replayed=True)


def begun(kept: Idempotency, body: bytes = BODY) -> Claim:
    claim = kept.begin("a", "key", body)
    assert isinstance(claim, Claim)
    return claim


def test_an_abandoned_claim_is_taken_over_by_the_same_request_alone(store: Store) -> None:
    kept = Idempotency(store)
    first = begun(kept)
    kept.abandon(first)
    assert begun(kept) == first
    kept.abandon(first)
    other = begun(kept, b"another request")
    assert other.id != first.id
    kept.finish(first, Recorded(200, b"too late"))  # what is no longer its own
    kept.finish(other, Recorded(200, b"done"))
    assert kept.begin("a", "key", b"another request") == Recorded(200, b"done", replayed=True)


def test_a_day_later_the_same_request_is_another_one(store: Store, clock: ManualClock) -> None:
    kept = Idempotency(store, clock)
    first = begun(kept)
    kept.abandon(first)
    clock.move(24 * 3600)
    assert begun(kept).id != first.id


def _claim(url: str) -> None:
    store = Store.open(url)
    Idempotency(store).begin("a", "key", BODY)
    store.close()


def test_a_dead_process_s_claim_may_be_taken_by_the_next(url: str) -> None:
    claimer = multiprocessing.get_context("spawn").Process(target=_claim, args=(url,))
    claimer.start()
    claimer.join()
    store = Store.open(url)
    begun(Idempotency(store))
    with store.write() as session:
        session.execute(update(IdempotencyRow).values(holder="elsewhere:1:1"))
    with pytest.raises(RateLimitError):  # of another machine nobody can tell
        Idempotency(store).begin("a", "key", BODY)
    store.close()


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
def test_what_is_no_key_is_refused(store: Store, key: str) -> None:
    with pytest.raises(InvalidParameterError, match="1 to 255 printable"):
        pay(store, key)


def test_the_oldest_answers_make_room_and_are_not_made_twice(
    store: Store, clock: ManualClock
) -> None:
    kept = Idempotency(store, clock, RepeatBounds(n_bytes=2_500))
    kept.once("b", "theirs", BODY, lambda: Recorded(200, b"x" * 1_000))
    for number in range(5):
        clock.move(1)
        kept.once("a", f"key {number}", BODY, lambda: Recorded(200, b"x" * 1_000))
    answers = [kept.begin("a", f"key {number}", BODY) for number in range(5)]
    whole, emptied = Recorded(200, b"x" * 1_000, replayed=True), Recorded(200, None, replayed=True)
    assert answers == [emptied, emptied, emptied, whole, whole]
    assert kept.begin("b", "theirs", BODY) == whole
    with pytest.raises(ConflictError):
        kept.begin("a", "key 0", b"something else")


def test_a_tenant_may_use_so_many_keys_a_day(store: Store, clock: ManualClock) -> None:
    kept = Idempotency(store, clock, RepeatBounds(keys=2))
    for key in ("one", "two"):
        kept.once("a", key, BODY, lambda: Recorded(200, b""))
    clock.move(3600)
    with pytest.raises(QuotaError, match="2 idempotency keys") as refused:
        kept.begin("a", "three", BODY)
    assert refused.value.retry_after_s == 23 * 3600
    assert isinstance(kept.begin("a", "one", BODY), Recorded)
    assert isinstance(kept.begin("b", "three", BODY), Claim)
    clock.move(23 * 3600)
    kept.forget_old()
    assert isinstance(kept.begin("a", "three", BODY), Claim)
