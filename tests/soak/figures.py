"""What accounts must bear for a long time, by name.

In: the name of a database and of a figure, how often, a seed.  Out: a line that says what held;
an AssertionError where something did not.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median

from puna.accounts import Store
from tests.accounts.disks import check_postgres_disk, check_sqlite_disk
from tests.accounts.senders import check_senders, check_senders_killed
from tests.accounts.test_crash import check_kills
from tests.accounts.test_histories import check_histories
from tests.accounts.test_race import check_race
from tests.accounts.test_timing import guesses
from tests.postgres import Cluster, find_binaries, memory_disk
from tests.server.conftest import write_slow
from tests.server.process import keep_model
from tests.server.test_crash import READY_S, REPEATERS, STREAMS
from tests.server.test_crash import check_kills as check_served_kills
from tests.server.test_end import DRAIN_S, LATE_S, check_ends
from tests.server.test_fairness import measured
from tests.server.test_job import check_cuts
from tests.soak.failing import check_disk
from tests.soak.forked import ForkedPuna
from tests.tiny import TinyLlama

Figure = Callable[[str, Path, int, int], str]  # url, an empty folder, times, seed -> what held

STEPS = 15  # of one history
ROUNDS = 4  # of a flood, each beside one without
CHANCE, APART_S = 0.01, 1e-6  # of the times that wrong keys take


def kills(url: str, folder: Path, times: int, seed: int) -> str:
    """A writer of top-ups, keys and requests is killed in the midst."""
    promised = check_kills(url, folder / "promised", times, within_s=0.3, seed=seed)
    return f"{times} kills, {promised} promised writes, 0 lost, 0 double"


def races(url: str, folder: Path, times: int, seed: int) -> str:
    """Budgets for ten calls, and many more who call at once."""
    check_race(url, times)
    return f"{times} races of 64 clients in 2 processes, 10 admitted in each"


def histories(url: str, folder: Path, times: int, seed: int) -> str:
    """Admissions, settlements and crashes in any order."""
    check_histories(url, times, STEPS, seed)
    return f"{times:,} random histories of up to {STEPS} steps, nothing left reserved"


def repeats(url: str, folder: Path, times: int, seed: int) -> str:
    """The same request sent many times at once, and after its process was killed."""
    check_senders(url, times, seed)
    killed = check_senders_killed(url, folder / "answered", times // 20, seed)
    return f"{times:,} keys sent 2 to 20 times at once, {killed:,} across kills, each done once"


def disks(url: str, folder: Path, times: int, seed: int) -> str:
    """The Nth write, flush or opening fails, for every N."""
    numbers = range(1, times + 1)
    if url.startswith("postgresql"):
        ran = check_postgres_disk(url, numbers)
    else:
        ran = check_sqlite_disk(folder, numbers)
    return f"{ran} runs whose Nth call failed, N to {times}: nothing promised was lost"


def cuts(url: str, folder: Path, times: int, seed: int) -> str:
    """Answers are cut at a random token."""
    model = TinyLlama(seed=1).write_gguf(folder / "tiny.gguf")
    check_cuts(url, folder, model, times, seed)
    return f"{times:,} answers cut at a random token, each charged what the engine counted"


def served(url: str, folder: Path, times: int, seed: int) -> str:
    """`puna serve` and a writer beside it are killed in mid-answer and started again."""
    model, home = write_slow(folder), folder / "home"
    ready_s = check_served_kills(home, model, url, times, seed=seed, kind=ForkedPuna)
    assert median(ready_s) < READY_S, ready_s  # one alone says more of what else the machine does
    return (
        f"{times} kills of the server under {STREAMS} streams and {REPEATERS} callers with keys, "
        f"paid for what came, once; ready in {median(ready_s):.1f} s, at most {max(ready_s):.1f}"
    )


def ends(url: str, folder: Path, times: int, seed: int) -> str:
    """`puna serve` is told to end in the midst of streams, now and then twice."""
    random, model, longest_s = Random(seed), write_slow(folder), 0.0
    for number in range(times):
        home, twice = folder / f"home {number}", random.random() < 0.2
        keep_model(home, "slow", model)
        drain_s = 60.0 if twice else DRAIN_S
        puna = ForkedPuna(home, "slow", f"sqlite:///{home}/puna.db", ("--drain", str(drain_s)))
        took_s = check_ends(puna, home, random, 2 if twice else 1)
        longest_s = max(longest_s, took_s if twice else took_s - DRAIN_S)
        shutil.rmtree(home)
    assert longest_s < 3 * LATE_S, longest_s  # the promise is for a machine that is not busy
    return f"{times} ends, every stream told, usage exact, at most {longest_s:.1f} s past the drain"


def flood(url: str, folder: Path, times: int, seed: int) -> str:
    """One tenant floods the server, another asks one thing after the other."""
    waits = measured(folder / "home", write_slow(folder), times, ROUNDS)[:2]
    equal_s, flooded_s = (wait[round(0.95 * times) - 1] for wait in waits)
    assert flooded_s <= 2 * equal_s, (equal_s, flooded_s)
    told = f"{equal_s:.3f} s beside an equal, {flooded_s:.3f} s beside a flood"
    return f"{times} first tokens, p95 {told}"


def failing(url: str, folder: Path, times: int, seed: int) -> str:
    """The Nth write, flush or opening under `puna serve` fails, for every N."""
    model = TinyLlama(seed=1).write_gguf(folder / "tiny.gguf")
    refused = check_disk(folder / "home", model, range(1, times + 1))
    return f"N to {times}: {refused} requests told 503, every answer charged, no restart"


def clock(url: str, folder: Path, times: int, seed: int) -> str:
    """A key that is right but for one digit, and one that no key is like, beside a wrong one."""
    store, told = Store.open(url), []
    for digits, what in ((42, "42 digits right"), (None, "not even an id")):
        probable, apart_s = guesses(store, times, digits, seed)
        told.append(f"{what}: p = {probable:.3f}, pairs {apart_s * 1e6:.2f} us apart")
        assert probable > CHANCE, told
        assert apart_s < APART_S, told
    store.close()
    return f"2 x {times:,} wrong keys, {'; '.join(told)}"


FIGURES: Mapping[str, tuple[Figure, int]] = {
    "kills": (kills, 200),
    "races": (races, 200),
    "histories": (histories, 10_000),
    "repeats": (repeats, 1_000),
    "disks": (disks, 200),
    "cuts": (cuts, 1_000),
    "served": (served, 200),
    "failing": (failing, 200),
    "ends": (ends, 100),
    "flood": (flood, 40),
    "clock": (clock, 50_000),
}
OF_THE_PROGRAM = {"failing", "ends", "flood"}  # with accounts in its home, which are SQLite's
DATABASES = ("sqlite", "postgresql")


@contextmanager
def fresh(database: str) -> Iterator[tuple[str, Path]]:
    """Yield a database with the newest schema, and a folder beside it."""
    cluster = _cluster() if database == "postgresql" else None
    with tempfile.TemporaryDirectory(prefix="puna-soak-", dir=memory_disk()) as folder:
        try:
            url = cluster.url(cluster.create()) if cluster else f"sqlite:///{folder}/puna.db"
            Store.open(url).close()
            yield url, Path(folder)
        finally:
            if cluster:
                cluster.close()


def _figures(names: Set[str]) -> list[tuple[Figure, int]]:
    return [figure for name, figure in FIGURES.items() if name in names]


def _cluster() -> Cluster:
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL is not on this machine: apt-get install postgresql")
    return Cluster(binaries)


def run(arguments: Sequence[str]) -> None:
    """Print a line for each figure that is asked for, with its time."""
    database, name, times, seed = [*arguments, "", "", "", ""][:4]
    if database not in ("", *DATABASES) or name not in ("", *FIGURES):
        sys.exit(f"say one of {', '.join(DATABASES)}, then one of {', '.join(FIGURES)}")
    for one in [database] if database else DATABASES:
        asked = {name} if name else FIGURES.keys()
        for figure, usual in _figures(asked if one == "sqlite" else asked - OF_THE_PROGRAM):
            began = time.monotonic()
            with fresh(one) as (url, folder):
                held = figure(url, folder, int(times or usual), int(seed or 20261124))
            print(f"{one}: {held} ({time.monotonic() - began:.0f} s)", flush=True)
