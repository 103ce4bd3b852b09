"""Accounts for a long time: python -m tests.soak.accounts.

In: nothing.  Out: a line for each figure, and the exit status 1 at the first that does not hold.
On SQLite, and on PostgreSQL where its binaries are: 200 kills of a writer, 200 races for ten
calls, 10,000 random steps of requests' lives.  Then `puna serve` is killed 20 times in mid-answer.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from puna.accounts import Store
from tests.accounts.test_crash import check_kills
from tests.accounts.test_histories import check_histories
from tests.accounts.test_race import check_race
from tests.postgres import Cluster, find_binaries
from tests.server.conftest import write_slow
from tests.server.test_crash import READY_S
from tests.server.test_crash import check_kills as check_served_kills

KILLS = RACES = 200
HISTORIES, STEPS = 200, 50
SERVED_KILLS = 20


@contextmanager
def sqlite() -> Iterator[list[str]]:
    """Three files on the disk."""
    with tempfile.TemporaryDirectory(prefix="puna-soak-") as folder:
        yield [f"sqlite:///{folder}/{number}.db" for number in range(3)]


@contextmanager
def postgresql(binaries: Path) -> Iterator[list[str]]:
    """Three databases of one cluster."""
    cluster = Cluster(binaries)
    try:
        yield [cluster.url(cluster.create()) for _ in range(3)]
    finally:
        cluster.close()


def soak(name: str, urls: list[str]) -> None:
    """Run all three on one kind of database."""
    for url in urls:
        Store.open(url).close()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        promised = check_kills(urls[0], Path(folder) / "promised", KILLS, within_s=0.3)
    print(f"{name}: {KILLS} kills, {promised} promised writes, 0 lost", flush=True)
    check_race(urls[1], RACES)
    print(f"{name}: {RACES} races of 64 clients, 10 admitted in each", flush=True)
    check_histories(urls[2], HISTORIES, STEPS)
    print(f"{name}: {HISTORIES * STEPS:,} random steps, nothing left reserved", flush=True)
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


def soak_server() -> None:
    """Kill the real program in the midst of answers, and start it again."""
    with tempfile.TemporaryDirectory(prefix="puna-soak-") as folder:
        model = write_slow(Path(folder))
        longest_s = check_served_kills(Path(folder) / "home", model, SERVED_KILLS)
    assert longest_s < READY_S
    print(f"puna serve: {SERVED_KILLS} kills, all settled, ready in {longest_s:.1f} s", flush=True)


def main() -> int:
    """The command line; see the top of this file."""
    with sqlite() as urls:
        soak("SQLite", urls)
    if binaries := find_binaries():
        with postgresql(binaries) as urls:
            soak("PostgreSQL", urls)
    soak_server()
    return 0


if __name__ == "__main__":
    sys.exit(main())
