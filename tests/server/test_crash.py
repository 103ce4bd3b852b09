"""`puna serve` is killed in the midst of answers: the next start settles them and is ready soon."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from threading import Thread

import httpx2
import pytest
from sqlalchemy import func, select

from puna.accounts import OWNER_TENANT, Store
from puna.accounts.entries import EntryRow
from puna.accounts.reservations import ReservationRow
from tests.accounts.writer import CONTEXT, check_promises, prepare, write_until_killed
from tests.postgres import Cluster
from tests.server.process import Puna, keep_model

READY_S = 5.0  # from the start of the process to an answer, on a machine that is not busy
STREAMS = 16  # in the soak
AHEAD = 64  # tokens that may be on their way to a client: a burst of the engine, and the socket


class Listener(Thread):
    """Reads a stream until it breaks, and counts its tokens."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._url, self._headers = url, {"Authorization": f"Bearer {key}"}
        self.came = 0

    def run(self) -> None:
        body = {
            "model": "slow",
            "messages": [{"role": "user", "content": "go on"}],
            "max_tokens": 1900,
            "ignore_eos": True,
            "stream": True,
            "logprobs": True,
        }
        url = f"{self._url}/v1/chat/completions"
        with httpx2.Client(headers=self._headers, timeout=30) as client:
            try:
                with client.stream("POST", url, json=body) as stream:
                    for line in stream.iter_lines():
                        self._note(line)
            except httpx2.TransportError:
                return

    def _note(self, line: str) -> None:
        if line.startswith("data: {"):
            choices = json.loads(line.removeprefix("data: "))["choices"]
            logprobs = choices[0]["logprobs"] if choices else None
            self.came += len(logprobs["content"] if logprobs else [])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_kill_leaves_nothing_reserved_and_nothing_unsettled(
    folder: Path, slow_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{folder}/accounts.db"
    if database == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        url = cluster.url(cluster.create())
    Store.open(url).close()
    longest_s = check_kills(folder, slow_path, url, 1, streams=3)
    assert longest_s < 3 * READY_S  # beside other tests


def check_kills(
    home: Path, model: Path, url: str, kills: int, *, streams: int = STREAMS, seed: int = 20261124
) -> float:
    """Kill the server and a writer beside it so often; returns the longest start in seconds."""
    keep_model(home, "slow", model)
    prepare(url)
    puna, random, longest = Puna(home, "slow", url), Random(seed), 0.0
    try:
        puna.wait_ready()
        key, promised = puna.key(), home / "promised"
        for run in range(1, kills + 1):
            listeners = [Listener(puna.url, key) for _ in range(streams)]
            kill(puna, listeners, (url, promised, run), random.uniform(0, 2))
            puna = Puna(home, "slow", url)
            longest = max(longest, puna.wait_ready())
            check_books(url, listeners, run, promised)
    finally:
        puna.kill()
    return longest


def kill(
    puna: Puna, listeners: list[Listener], writing: tuple[str, Path, int], after_s: float
) -> None:
    """Kill the server while it answers, and a process that writes beside it."""
    writer = CONTEXT.Process(target=write_until_killed, args=writing)
    writer.start()
    for listener in listeners:
        listener.start()
    while not (all(one.came for one in listeners) and writing[1].exists()):
        assert all(one.is_alive() for one in listeners), "an answer was refused"
        time.sleep(0.01)
    time.sleep(after_s)
    puna.kill()
    writer.kill()
    writer.join()
    for listener in listeners:
        listener.join()


def check_books(url: str, listeners: list[Listener], run: int, promised: Path) -> None:
    """Nothing is reserved, and each answer is charged once, for what its client got or was sent."""
    store = Store.open(url)
    wait_settled(store)
    check_promises(store, promised)
    mine = select(EntryRow).where(EntryRow.tenant_id == OWNER_TENANT, EntryRow.kind == "charge")
    with store.read() as session:
        rows = list(session.scalars(mine.order_by(EntryRow.number)))
    store.close()
    assert len(rows) == run * len(listeners)
    latest = rows[-len(listeners) :]
    assert {row.outcome for row in latest} == {"crash"}
    counted = sorted(row.completion_tokens for row in latest)
    received = sorted(listener.came for listener in listeners)
    ahead = [n - got for got, n in zip(received, counted, strict=True)]
    assert min(ahead) >= 0, (received, counted)
    assert max(ahead) <= AHEAD, (received, counted)


def wait_settled(store: Store) -> None:
    """The start settles what the dead have left, one after the other."""
    deadline = time.monotonic() + READY_S
    reserved = select(func.count()).select_from(ReservationRow)
    while time.monotonic() < deadline:
        with store.read() as session:
            if session.scalar(reserved) == 0:
                return
        time.sleep(0.02)
