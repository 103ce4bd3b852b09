"""`puna serve` is killed in the midst of answers: the next start settles them and is ready soon."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from threading import Thread

import httpx2
from sqlalchemy import func, select

from puna.accounts import Store
from puna.accounts.entries import EntryRow
from puna.accounts.reservations import ReservationRow

READY_S = 5.0  # from the start of the process to an answer, on a machine that is not busy
STREAMS = 3
COUNTED_S = 1.5  # how far back a crash's count may lie: a lease is renewed every second
AHEAD = 64  # tokens that may be on their way to a client: a burst of the engine, and the socket


class Puna:
    """The real program in a process of its own."""

    def __init__(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "PUNA_HOME": str(home), "PUNA_MODEL": "slow"}
        command = [sys.executable, "-m", "puna", "serve", "--port", str(port)]
        self.started = time.monotonic()
        self.said = (home / "said.txt").open("w+")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.said, stderr=subprocess.DEVNULL
        )

    def wait_ready(self) -> float:
        """Wait for a decode step; returns the seconds since the start."""
        while True:
            assert self.process.poll() is None
            try:
                if httpx2.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return time.monotonic() - self.started
            except httpx2.TransportError:
                pass
            time.sleep(0.02)

    def key(self) -> str:
        """The key that the first start shows."""
        self.said.seek(0)
        found = re.search(r"Bearer (puna_sk_\w+)", self.said.read())
        assert found
        return found[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()


class Listener(Thread):
    """Reads a stream until it breaks, and notes when each token came."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._url, self._headers = url, {"Authorization": f"Bearer {key}"}
        self.came_at: list[float] = []

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
            self.came_at += [time.monotonic()] * len(logprobs["content"] if logprobs else [])


def test_two_kills_leave_nothing_reserved_and_nothing_unsettled(
    tmp_path: Path, slow_path: Path
) -> None:
    assert check_kills(tmp_path, slow_path, 2) < 3 * READY_S  # beside other tests


def check_kills(home: Path, model: Path, kills: int) -> float:
    """Kill and start again so often; returns the longest start in seconds."""
    (home / "models/slow").mkdir(parents=True)
    (home / "models/slow/slow.gguf").hardlink_to(model)
    puna, random, longest = Puna(home), Random(20261124), 0.0
    puna.wait_ready()
    key = puna.key()
    for round_ in range(1, kills + 1):
        listeners = [Listener(puna.url, key) for _ in range(STREAMS)]
        for listener in listeners:
            listener.start()
        while not all(listener.came_at for listener in listeners):
            time.sleep(0.01)
        time.sleep(random.uniform(0, 2 * COUNTED_S))
        killed_at = time.monotonic()
        puna.kill()
        for listener in listeners:
            listener.join()
        puna = Puna(home)
        longest = max(longest, puna.wait_ready())
        check_books(home, listeners, killed_at, round_)
    puna.kill()
    return longest


def check_books(home: Path, listeners: list[Listener], killed_at: float, round_: int) -> None:
    """Nothing is reserved, and each answer is charged once, for about what its client got."""
    store = Store.open(f"sqlite:///{home}/puna.db")
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(ReservationRow)) == 0
        rows = list(session.scalars(select(EntryRow).order_by(EntryRow.number)))
    store.close()
    assert len(rows) == round_ * STREAMS
    latest = rows[-STREAMS:]
    assert {row.outcome for row in latest} == {"crash"}
    counted = sorted(row.completion_tokens for row in latest)
    surely = [sum(at < killed_at - COUNTED_S for at in listener.came_at) for listener in listeners]
    at_most = [len(listener.came_at) + AHEAD for listener in listeners]
    assert all(low <= n for low, n in zip(sorted(surely), counted, strict=True)), (surely, counted)
    assert all(n <= high for n, high in zip(counted, sorted(at_most), strict=True))
