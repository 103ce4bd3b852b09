"""The same request sent by many at once, and by a process that is killed: how often is it done?

In: a database.  Out: nothing, where each was done once and every answer of one key is the same.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from puna.accounts import Idempotency, Ledger, Recorded, Store
from tests.accounts.writer import CONTEXT

BODY = b"POST /credits {}"
AMOUNT_MICROS = 5
PROCESSES = 2
ROUND = 100  # keys a process gets at a time

Answer = tuple[str, int, bytes | None]  # key, status, body

_barrier: Any = None


def pay(store: Store, key: str, body: bytes = BODY, tenant: str = "a") -> Recorded:
    """One mutating request: some micro-units, and an answer that tells runs apart."""

    def effect() -> Recorded:
        balance = Ledger(store).credit("owner", AMOUNT_MICROS)
        return Recorded(201, f"now {balance.credited_micros}".encode())

    return Idempotency(store).once(tenant, key, body, effect)


def check_senders(url: str, keys: int, seed: int = 20261124) -> None:
    """Send each key 2 to 20 times at once, from two processes."""
    random, before = Random(seed), credited(url)
    sent = [(f"key {number}", random.randint(1, 10)) for number in range(keys)]
    barrier = CONTEXT.Barrier(PROCESSES)
    answers: dict[str, set[Answer]] = {}
    with ProcessPoolExecutor(PROCESSES, CONTEXT, _share, (barrier,)) as pool:
        for start in range(0, keys, ROUND):
            share = [(url, sent[start : start + ROUND])] * PROCESSES
            for one in pool.map(_send, share):
                for answer in one:
                    answers.setdefault(answer[0], set()).add(answer)
    assert len(answers) == keys
    assert {len(alike) for alike in answers.values()} == {1}
    assert credited(url) == before + keys * AMOUNT_MICROS


def check_senders_killed(url: str, log: Path, kills: int, seed: int = 20261124) -> int:
    """Kill a sender again and again; whatever it sent is sent again.  Returns how many keys."""
    random, before = Random(seed), credited(url)
    for run in range(kills):
        already = _lines(log)
        sender = CONTEXT.Process(target=send_until_killed, args=(url, log, run))
        sender.start()
        while _lines(log) == already:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.1))
        sender.kill()
        sender.join()
    answered = dict(json.loads(line) for line in log.read_text().splitlines() if line[-1] == "]")
    store = Store.open(url)
    unanswered = {f"key {run}.{_answered_in(answered, run)}" for run in range(kills)}
    for key in {*answered, *unanswered}:
        answer = pay(store, key)
        assert answered.get(key, _text(answer)) == _text(answer)
    store.close()
    keys = len(answered) + kills
    assert credited(url) == before + keys * AMOUNT_MICROS
    return keys


def send_until_killed(url: str, log: Path, run: int) -> None:
    """Send one key after the other; a line in the log for each answer that came."""
    store = Store.open(url)
    heard = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in count():
        key = f"key {run}.{number}"
        line = json.dumps([key, _text(pay(store, key))])
        os.write(heard, f"{line}\n".encode())


def credited(url: str) -> int:
    """Return what the owner has been credited with, in all."""
    store = Store.open(url)
    try:
        return Ledger(store).balance("owner").credited_micros
    finally:
        store.close()


def _text(answer: Recorded) -> str:
    assert answer.body is not None
    return answer.body.decode()


def _answered_in(answered: dict[str, str], run: int) -> int:
    """Return the number of the first key of a run whose answer nobody heard."""
    return next(number for number in count() if f"key {run}.{number}" not in answered)


def _lines(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def _share(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603  what a pool's process is given
    _barrier = barrier


def _send(share: tuple[str, Sequence[tuple[str, int]]]) -> list[Answer]:
    url, keys = share
    store = Store.open(url)
    said: list[Answer] = []
    with ThreadPoolExecutor(10) as pool:
        for key, senders in keys:
            _barrier.wait()
            answers = pool.map(lambda _: pay(store, key), range(senders))  # noqa: B023
            said += {(key, answer.status, answer.body) for answer in answers}
    store.close()
    return said
