"""`puna serve` is told to end: every stream hears how it ends, and the process ends in time."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from random import Random

import httpx2
import pytest
from sqlalchemy import func, select

from puna.accounts import Store
from puna.accounts.entries import EntryRow
from puna.accounts.reservations import ReservationRow
from tests.server.by_hand import chat_head, chat_request
from tests.server.callers import LONG, Listener
from tests.server.process import Puna, keep_model

STREAMS, DRAIN_S = 12, 1.0
LATE_S = 2.0  # after the drain, on a machine that is not busy


@pytest.fixture
def puna(tmp_path: Path, slow_path: Path) -> Puna:
    keep_model(tmp_path, "slow", slow_path)
    return Puna(tmp_path, "slow", options=("--drain", str(DRAIN_S)))


def end(puna: Puna, signals: int = 1) -> float:
    """Ask it to end; returns the seconds that it took."""
    began = time.monotonic()
    for _ in range(signals):
        puna.process.send_signal(signal.SIGTERM)
        time.sleep(0.2 * (signals - 1))
    assert puna.process.wait(30) == 0
    return time.monotonic() - began


def check_ends(puna: Puna, home: Path, random: Random, signals: int = 1) -> float:
    """End it in the midst of streams, beside clients that neither read nor send; the seconds."""
    puna.wait_ready()
    key = puna.key()
    listeners = [Listener(puna.url, key, random.choice((4, 60, 1900))) for _ in range(STREAMS)]
    for listener in listeners:
        listener.start()
    with connected(puna) as deaf, connected(puna) as upload:
        asked = {**LONG, "max_tokens": 1900, "top_logprobs": 20, "n": 4}
        deaf.sendall(chat_request(key, asked))
        upload.sendall(chat_head(key, 10_000) + b"{")
        while not all(listener.last for listener in listeners):
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1))
        took_s = end(puna, signals)
    for listener in listeners:
        listener.join(10)
    ends = [listener.last for listener in listeners if not listener.ended_well]
    assert not ends
    check_books(home, sorted(listener.tokens for listener in listeners))
    return took_s


def answers(puna: Puna) -> bool:
    """Whether somebody is at the door, be it to say that the model is being loaded."""
    try:
        return httpx2.get(f"{puna.url}/health", timeout=5).status_code in (200, 503)
    except httpx2.TransportError:
        return False


def connected(puna: Puna) -> socket.socket:
    """A client with hardly any room for what comes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", puna.port))
    return connection


def check_books(home: Path, came: list[int]) -> None:
    """Nothing is reserved, and each answer is charged once, for all that its client got."""
    store = Store.open(f"sqlite:///{home}/puna.db")
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(ReservationRow)) == 0
        rows = list(session.scalars(select(EntryRow)))
    store.close()
    assert {row.outcome for row in rows} <= {"success", "shutdown"}
    assert len(rows) == STREAMS + 1  # and the one that did not read
    whole = [tokens for tokens in came if tokens in (4, 60)]
    charged = [row.completion_tokens for row in rows]
    assert all(charged.count(tokens) >= whole.count(tokens) for tokens in set(whole))
    assert sum(charged) >= sum(came)


def test_streams_hear_how_they_end_and_the_process_ends_in_time(puna: Puna, tmp_path: Path) -> None:
    took_s = check_ends(puna, tmp_path, Random(20261124))
    assert took_s < DRAIN_S + 3 * LATE_S  # beside other tests


def test_a_second_signal_ends_it_at_once(tmp_path: Path, slow_path: Path) -> None:
    keep_model(tmp_path, "slow", slow_path)
    patient = Puna(tmp_path, "slow", options=("--drain", "60"))
    assert check_ends(patient, tmp_path, Random(20261125), signals=2) < 4 * LATE_S


def test_it_may_end_while_it_loads_its_model(puna: Puna) -> None:
    while not answers(puna):
        time.sleep(0.01)
    assert end(puna) < DRAIN_S + 5 * LATE_S
