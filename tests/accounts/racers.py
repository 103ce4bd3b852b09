"""Clients that all ask at once, in two processes: who is admitted?

In: a database and rounds.  Out: how many were admitted in each round.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from random import choice
from threading import Barrier, Thread
from typing import Any

from puna.accounts import Caller, Keys, Ledger, Plan, Plans, Store, Tenants
from puna.chat import Usage
from puna.errors import LimitError
from tests.accounts.world import PRICE
from tests.accounts.writer import CONTEXT

COST = Usage(10, 10)  # 50 micro-units, 20 tokens
CALLS = 10
PLANS = {
    "credits": Plan("credits", prices={"*": PRICE}),
    "month": Plan("month", monthly_tokens=CALLS * COST.total_tokens),
    "requests": Plan("requests", requests_per_minute=CALLS),
    "at-once": Plan("at-once", concurrent_requests=CALLS),
}

# Each client's clock says one of these: the month ends while they race.
MOMENTS = (datetime(2026, 10, 31, 23, 59, 59, 999_999, UTC), datetime(2026, 11, 1, tzinfo=UTC))

_barrier: Any = None


def prepare(store: Store, rounds: int) -> list[Caller]:
    """Make a tenant for each round who can pay for ten calls by one of the limits."""
    callers = []
    with store.write():
        for plan in PLANS.values():
            Plans(store).create(plan)
        for number in range(rounds):
            plan_id = list(PLANS)[number % len(PLANS)]
            tenant = Tenants(store).create(f"racer {number}", plan_id)
            if plan_id == "credits":
                Ledger(store).credit(tenant.id, CALLS * PRICE.cost_micros(COST))
            key = Keys(store).create("key", tenant.id)
            callers.append(Keys(store).verify(key.secret))
    return callers


def race(url: str, callers: list[Caller], clients: int, processes: int) -> Counter[str]:
    """Let the clients call once for each caller, all at the same time; admissions by tenant."""
    barrier = CONTEXT.Barrier(processes)
    admitted: Counter[str] = Counter()
    with ProcessPoolExecutor(processes, CONTEXT, _share, (barrier,)) as pool:
        share = clients // processes
        for result in pool.map(_run, *zip(*[(url, callers, share)] * processes, strict=True)):
            admitted.update(result)
    return admitted


def _share(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603  what a pool's process is given
    _barrier = barrier


def _run(url: str, callers: list[Caller], clients: int) -> Counter[str]:
    store = Store.open(url)
    ledger = Ledger(store, lambda: choice(MOMENTS))
    together = Barrier(clients, action=_barrier.wait)
    admitted: Counter[str] = Counter()

    def client() -> None:
        for caller in callers:
            together.wait()
            try:
                ledger.admit(caller, "smollm2", COST)
            except LimitError:
                continue
            admitted[caller.tenant_id] += 1

    threads = [Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together.abort()
    _barrier.wait()  # nobody counts as gone before everyone is done
    store.close()
    return admitted
