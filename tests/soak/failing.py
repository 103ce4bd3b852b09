"""A disk that fails under `puna serve`: told as 503, nothing lost, and well again by itself.

In: a home, a model, which calls fail.  Out: how many requests were refused.  strace, which makes
the calls fail, must be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from sqlalchemy import func, select

from puna.accounts import Store
from puna.accounts.entries import EntryRow
from tests.accounts.disks import Fault, failing
from tests.server.process import Puna, keep_model
from tests.server.test_crash import wait_settled

FAULTS = (
    ("fsync,fdatasync", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("openat", "EMFILE"),
)
ASK = {"model": "tiny", "prompt": "go", "max_tokens": 2, "ignore_eos": True}
AT_ONCE, MOST_ROUNDS = 4, 30  # each thread of the server counts its own calls
PATIENCE_S = 180  # a settlement that fails in one thread after the other is tried again each time


def check_disk(home: Path, model: Path, numbers: Iterable[int]) -> int:
    """Let each Nth call of every kind fail; returns how many requests were refused."""
    keep_model(home, "tiny", model)
    path = home / "accounts.db"
    paths = (path, Path(f"{path}-journal"), home)
    puna, statuses = Puna(home, "tiny", f"sqlite:///{path}"), list[int]()
    try:
        puna.wait_ready()
        headers = {"Authorization": f"Bearer {puna.key()}"}
        with httpx2.Client(base_url=puna.url, headers=headers, timeout=PATIENCE_S) as client:
            for number in numbers:
                for calls, error in FAULTS:
                    with failing(puna.process.pid, Fault(calls, error, number), paths):
                        statuses += until_refused(client)
                    statuses += [ask(client)]
                    assert statuses[-1] == 200, (number, calls, error)  # well again
        check_charges(f"sqlite:///{path}", statuses.count(200))
    finally:
        puna.kill()
    assert set(statuses) == {200, 503}
    return statuses.count(503)


def until_refused(client: httpx2.Client) -> list[int]:
    """Ask, several at once, until somebody is refused; what all of them were told."""
    statuses: list[int] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(MOST_ROUNDS):
            statuses += pool.map(ask, [client] * AT_ONCE)
            if 503 in statuses:
                break
    return statuses


def ask(client: httpx2.Client) -> int:
    """Return what a request is told."""
    return client.post("/v1/completions", json=ASK).status_code


def check_charges(url: str, answered: int) -> None:
    """Each answer is charged, and nothing else; nothing stays reserved."""
    store = Store.open(url)
    wait_settled(store)
    charges = select(func.count()).select_from(EntryRow).where(EntryRow.completion_tokens > 0)
    with store.read() as session:
        assert session.scalar(charges) == answered
    store.close()
