"""Sixty-four clients in two processes, at a month's end, and a budget for ten calls: ten get in."""

from __future__ import annotations

from puna.accounts import Ledger, Store
from tests.accounts.racers import CALLS, prepare, race
from tests.accounts.world import check_books

ROUNDS = 8  # two for each kind of limit


def test_exactly_ten_are_admitted(url: str) -> None:
    check_race(url, ROUNDS)


def check_race(url: str, rounds: int) -> None:
    store = Store.open(url)
    callers = prepare(store, rounds)
    admitted = race(url, callers, clients=64, processes=2)
    assert [admitted[caller.tenant_id] for caller in callers] == [CALLS] * rounds
    assert Ledger(store).release_stale(0) == CALLS * rounds
    check_books(store)
    store.close()
