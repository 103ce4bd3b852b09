"""One tenant floods the server; another's words come as soon as if both asked for the same."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from puna.accounts import Keys, Store, Tenants
from tests.server.by_hand import chat_request
from tests.server.process import Puna, keep_model

SHARE, FLOOD = 32, 200  # half of what the engine computes at once; more than may even wait
ASKED = 12
LEFT_S = 4.0  # until the places of those who went are free; a second on a machine that is not busy
LONG = {
    "model": "slow",
    "messages": [{"role": "user", "content": "go on"}],
    "ignore_eos": True,
    "max_tokens": 1900,
    "stream": True,
}


@contextmanager
def crowd(puna: Puna, key: str, size: int) -> Iterator[int]:
    """So many streams of one tenant; yields how many were let in."""
    with ExitStack() as open_:
        connections = [open_.enter_context(asking(puna, key)) for _ in range(size)]
        yield sum(one.recv(12) == b"HTTP/1.1 200" for one in connections)


def asking(puna: Puna, key: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", puna.port), timeout=30)
    connection.sendall(chat_request(key, LONG))
    return connection


def first_words_s(puna: Puna, key: str, asked: int) -> list[float]:
    """Ask one after the other; returns how long each first token took."""
    times = []
    url, headers = f"{puna.url}/v1/chat/completions", {"Authorization": f"Bearer {key}"}
    with httpx2.Client(timeout=60, headers=headers) as client:
        for _ in range(asked):
            began = time.monotonic()
            with client.stream("POST", url, json={**LONG, "max_tokens": 3}) as stream:
                assert stream.status_code == 200
                words = (line for line in stream.iter_lines() if '"content"' in line)
                next(words)  # the opening
                next(words)
                times.append(time.monotonic() - began)
    return times


def measured(
    home: Path, model: Path, asked: int = ASKED, rounds: int = 1
) -> tuple[list[float], list[float], int]:
    """Return the waits beside an equal and beside a flood, sorted, and how many of that came in.

    Several rounds take turns, so that whatever else the machine does meets both.
    """
    keep_model(home, "slow", model)
    puna = Puna(home, "slow")
    try:
        puna.wait_ready()
        store = Store.open(f"sqlite:///{home}/puna.db")
        other = Keys(store).create("other", Tenants(store).create("other", "owner").id).secret
        store.close()
        equal, flooded = list[float](), list[float]()
        for number in range(rounds):
            time.sleep(LEFT_S if number else 0)
            with crowd(puna, puna.key(), SHARE) as let_in:
                assert let_in == SHARE
                equal += first_words_s(puna, other, asked // rounds)
            with crowd(puna, puna.key(), FLOOD) as let_in:
                flooded += first_words_s(puna, other, asked // rounds)
        return sorted(equal), sorted(flooded), let_in
    finally:
        puna.kill()


def test_a_flood_does_not_delay_another_tenant(tmp_path: Path, slow_path: Path) -> None:
    equal, flooded, let_in = measured(tmp_path, slow_path)
    assert let_in == 128  # 64 are computed, 64 wait, and the rest is refused
    assert flooded[-2] < 2 * equal[-2] + 1.0, (equal, flooded)  # the second is for busy machines
