"""A database that is full or away: told as 503, nothing lost, and well again without a restart."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from puna.accounts import OWNER_TENANT, Store
from puna.accounts.entries import EntryRow
from tests.accounts.world import check_books
from tests.postgres import Cluster, find_binaries
from tests.server.process import Puna, keep_model

ASK = {"model": "slow", "messages": [{"role": "user", "content": "go on"}], "max_tokens": 2}
LONG = {**ASK, "max_tokens": 150, "ignore_eos": True, "stream": True}
LONG["stream_options"] = {"include_usage": True}
PATIENCE_S = 20.0
ROOM_BYTES = 4096  # less than one commit writes


@dataclass(frozen=True)
class Outage:
    """A running program, and how its database goes and comes back."""

    puna: Puna
    database: str
    begin: Callable[[], None]
    end: Callable[[], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def outage(request: pytest.FixtureRequest, folder: Path, slow_path: Path) -> Iterator[Outage]:
    keep_model(folder, "slow", slow_path)
    if request.param == "sqlite":
        database = f"sqlite:///{folder}/accounts.db"
        puna = Puna(folder, "slow", database)
        yield Outage(puna, database, lambda: fill(puna, ROOM_BYTES), lambda: fill(puna, -1))
        puna.kill()
        return
    if (binaries := find_binaries()) is None:
        pytest.skip("PostgreSQL's binaries are not on this machine")
    cluster = Cluster(binaries)
    database = cluster.url(cluster.create())
    puna = Puna(folder, "slow", database)
    yield Outage(puna, database, cluster.stop, cluster.start)
    puna.kill()
    cluster.close()


def fill(puna: Puna, room_bytes: int) -> None:
    """Let the kernel refuse the program's writes beyond a file's size, as a full disk does."""
    limit = resource.RLIM_INFINITY if room_bytes < 0 else room_bytes
    hard = resource.RLIM_INFINITY
    resource.prlimit(puna.process.pid, resource.RLIMIT_FSIZE, (limit, hard))


def test_an_outage_is_told_and_nothing_is_lost(outage: Outage) -> None:
    outage.puna.wait_ready()
    headers = {"Authorization": f"Bearer {outage.puna.key()}"}
    url = f"{outage.puna.url}/v1/chat/completions"
    with (
        httpx2.Client(headers=headers, timeout=60) as client,
        ThreadPoolExecutor(1) as pool,
        client.stream("POST", url, json=LONG) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        outage.begin()
        for _ in range(3):
            refused = httpx2.post(url, json=ASK, headers=headers, timeout=30)
            assert refused.status_code == 503, refused.text
            assert refused.json()["error"]["code"] == "unavailable"
        rest = pool.submit(list, lines)  # what had begun goes on to its end
        deadline = time.monotonic() + PATIENCE_S
        while "could not be settled" not in outage.puna.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        outage.end()
        told = [json.loads(line[6:]) for line in rest.result() if line.startswith("data: {")]
        while (
            answer := httpx2.post(url, json=ASK, headers=headers, timeout=30)
        ).status_code != 200:
            assert answer.status_code == 503
            time.sleep(0.1)
    check_charges(outage.database, [tokens(told[-1]["usage"]), tokens(answer.json()["usage"])])


def tokens(usage: dict[str, int]) -> tuple[int, int]:
    return usage["prompt_tokens"], usage["completion_tokens"]


def check_charges(database: str, usages: list[tuple[int, int]]) -> None:
    """Both answers are charged as they were told, once the settlement was tried again."""
    store = Store.open(database)
    mine = select(EntryRow).where(EntryRow.tenant_id == OWNER_TENANT)
    rows: list[EntryRow] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(rows) < len(usages) and time.monotonic() < deadline:
        with store.read() as session:
            rows = list(session.scalars(mine))
        time.sleep(0.1)
    assert sorted((row.prompt_tokens, row.completion_tokens) for row in rows) == sorted(usages)
    check_books(store)
    store.close()
