"""A process that writes until it is killed, and the check of what it left.

In: a database.  Out: a log with one line for each write that was acknowledged.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from sqlalchemy import select, text

from puna.accounts import Keys, Ledger, Plan, Plans, Store, Tenants
from puna.accounts.entries import EntryRow
from puna.accounts.keys import KeyRow
from puna.chat import Usage
from tests.accounts.world import PRICE, check_books

READY_S = 5.0  # a start after a crash, at most
# A process that has all modules loaded, so that each writer starts at once.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.accounts.writer"])


def prepare(url: str) -> None:
    """Make the tenant that the writers write for."""
    store = Store.open(url)
    Plans(store).create(Plan("paid", prices={"*": PRICE}))
    Tenants(store).create("acme", "paid")
    Ledger(store).credit("acme", 10**12)
    store.close()


def write_until_killed(url: str, log: Path, run: int) -> None:
    """Write without an end."""
    write(url, log, run, count())


def write(url: str, log: Path, run: int, numbers: Iterable[int]) -> None:
    """Top-ups, keys and requests; a line in the log says what the database has promised."""
    store = Store.open(url)
    keys, ledger = Keys(store), Ledger(store)
    caller = keys.verify(keys.create(f"caller {run}", "acme").secret)
    promised = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in numbers:
        reference = f"top-up {run}.{number}"
        ledger.credit("acme", 7, reference=reference)
        os.write(promised, f"entry {reference}\n".encode())
        os.write(promised, f"key {keys.create('spare', 'acme').key.id}\n".encode())
        admission = ledger.admit(caller, "smollm2", Usage(10, 100))
        ledger.renew({admission.id: Usage(10, 3)})
        ledger.settle(admission, Usage(10, 50), "success")
        os.write(promised, f"entry {admission.id}\n".encode())


def kill_and_check(url: str, log: Path, run: int, after_s: float) -> int:
    """Kill one writer so long after its first promise; returns how many it has made."""
    before = len(log.read_text().splitlines()) if log.exists() else 0
    writer = CONTEXT.Process(target=write_until_killed, args=(url, log, run))
    writer.start()
    while not log.exists() or len(log.read_text().splitlines()) == before:
        time.sleep(0.002)
    time.sleep(after_s)
    writer.kill()
    writer.join()
    check(url, log)
    return len(log.read_text().splitlines()) - before


def check(url: str, log: Path) -> None:
    """A start after a crash is quick and settles what was under way, to the last count."""
    start = time.monotonic()
    store = Store.open(url)  # looks through the whole file
    assert Ledger(store).release_stale() <= 1  # at once, without waiting for the lease
    assert time.monotonic() - start < READY_S
    crashed = select(EntryRow).where(EntryRow.outcome == "crash")
    with store.read() as session:  # or to nothing where it came before the first count
        assert all(row.completion_tokens in (0, 3) for row in session.scalars(crashed))
    check_promises(store, log)
    store.close()


def check_promises(store: Store, log: Path) -> None:
    """Nothing promised is lost, nothing is there twice, and the sums agree."""
    promised = [line.split(" ", 1) for line in log.read_text().splitlines()]
    with store.read() as session:
        entries = list(session.scalars(select(EntryRow.reference)))
        keys = set(session.scalars(select(KeyRow.id)))
        if store.is_sqlite:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
    assert len(entries) == len(set(entries))
    assert {name for kind, name in promised if kind == "entry"} <= set(entries)
    assert {name for kind, name in promised if kind == "key"} <= keys
    check_books(store)
