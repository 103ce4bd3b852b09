"""`puna serve` is killed in the midst of answers: the next start settles them and is ready soon."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select

from puna.accounts import Keys, Store
from puna.accounts.entries import EntryRow
from puna.accounts.keys import NewKey
from puna.accounts.reservations import ReservationRow
from puna.chat import Usage
from tests.accounts.writer import CONTEXT, check_promises, prepare, write_until_killed
from tests.server.callers import Listener, Repeater
from tests.server.process import Puna, keep_model
from tests.soak.forked import ForkedPuna

READY_S = 5.0  # from the start of the process to an answer, on a machine that is not busy
STREAMS, REPEATERS = 16, 4  # in the soak
AHEAD = 64  # tokens that may be on their way to a client: a burst of the engine, and the socket

Caller = Listener | Repeater


def test_a_kill_leaves_nothing_reserved_and_nothing_unsettled(
    folder: Path, slow_path: Path, url: str
) -> None:
    Store.open(url).close()
    (ready_s,) = check_kills(folder, slow_path, url, 1, streams=3, repeaters=2)
    assert ready_s < 3 * READY_S  # beside other tests


@pytest.mark.timeout(400)  # on a busy machine
def test_nine_more_kills_on_each_database_lose_nothing(
    folder: Path, slow_path: Path, url: str
) -> None:
    """With the one before, twenty in all; `make soak` has two hundred under more streams."""
    Store.open(url).close()
    check_kills(folder, slow_path, url, 9, streams=4, repeaters=2, within_s=0.5, kind=ForkedPuna)


def check_kills(
    home: Path,
    model: Path,
    url: str,
    kills: int,
    *,
    streams: int = STREAMS,
    repeaters: int = REPEATERS,
    seed: int = 20261124,
    within_s: float = 2.0,
    kind: type[Puna] = Puna,
) -> list[float]:
    """Kill the server and a writer beside it so often; returns what each start took in seconds."""
    keep_model(home, "slow", model)
    prepare(url)
    store, random, ready_s = Store.open(url), Random(seed), list[float]()
    keys = [Keys(store).create(f"caller {number}") for number in range(streams + repeaters)]
    puna, promised = kind(home, "slow", url), home / "promised"
    try:
        puna.wait_ready()
        for run in range(kills):
            since = latest_entry(store)
            callers = {key.key.id: _caller(puna, key, run, keys[:repeaters]) for key in keys}
            kill(puna, list(callers.values()), (url, promised, run), random.uniform(0, within_s))
            puna = kind(home, "slow", url)
            ready_s.append(puna.wait_ready())
            check_charges(store, puna, callers, since)
            check_promises(store, promised)
    finally:
        puna.kill()
        store.close()
    return ready_s


def _caller(puna: Puna, key: NewKey, run: int, repeating: list[NewKey]) -> Caller:
    if key in repeating:
        return Repeater(puna.url, key.secret, f"run {run} of {key.key.id}")
    return Listener(puna.url, key.secret)


def kill(puna: Puna, callers: list[Caller], writing: tuple[str, Path, int], after_s: float) -> None:
    """Kill the server while it answers, and a process that writes beside it."""
    writer = CONTEXT.Process(target=write_until_killed, args=writing)
    writer.start()
    for caller in callers:
        caller.start()
    while not (all(map(_is_answered, callers)) and writing[1].exists()):
        assert all(one.is_alive() for one in callers), "an answer was refused"
        time.sleep(0.01)
    time.sleep(after_s)
    puna.kill()
    writer.kill()
    writer.join()
    for caller in callers:
        caller.join()


def _is_answered(caller: Caller) -> bool:
    return (caller.tokens if isinstance(caller, Listener) else caller.answered) > 0


def check_charges(store: Store, puna: Puna, callers: Mapping[str, Caller], since: int) -> None:
    """Nothing is reserved, and everyone has paid for what they got, once."""
    wait_settled(store)
    for caller in callers.values():
        if isinstance(caller, Repeater):
            caller.ask(puna.url)  # what was under way when the server was killed
    mine = select(EntryRow).where(EntryRow.number > since, EntryRow.kind == "charge")
    for key_id, caller in callers.items():
        with store.read() as session:
            rows = list(session.scalars(mine.where(EntryRow.key_id == key_id)))
        paid = sum((row.charge().usage for row in rows), Usage())
        if isinstance(caller, Repeater):
            assert (paid.prompt_tokens, paid.completion_tokens) == (
                caller.told.prompt_tokens,
                caller.told.completion_tokens,
            )
        else:
            assert [row.outcome for row in rows] == ["crash"]
            assert caller.tokens <= paid.completion_tokens <= caller.tokens + AHEAD


def latest_entry(store: Store) -> int:
    """Return the number of the last credit or charge."""
    with store.read() as session:
        return session.scalar(select(func.max(EntryRow.number))) or 0


def wait_settled(store: Store) -> None:
    """The start settles what the dead have left, one after the other."""
    deadline = time.monotonic() + READY_S
    reserved = select(func.count()).select_from(ReservationRow)
    while time.monotonic() < deadline:
        with store.read() as session:
            if session.scalar(reserved) == 0:
                return
        time.sleep(0.02)
