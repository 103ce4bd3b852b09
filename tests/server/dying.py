"""A server that is killed at a point of the first request under an Idempotency-Key.

In: the point, and where it keeps its accounts.  Out: its address and keys; then it dies.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NoReturn

from puna.accounts import Idempotency, Ledger
from tests.server.serving import Known, served

Point = Literal["before the charge", "before the record"]

CONTEXT = get_context("spawn")


class DyingLedger(Ledger):
    """Answered, but not charged."""

    def settle(self, *_: Any) -> NoReturn:
        die()


class DyingIdempotency(Idempotency):
    """Charged, but not recorded."""

    def finish(self, *_: Any) -> NoReturn:
        die()


def die() -> NoReturn:
    """As by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


@contextmanager
def dying(point: Point, folder: Path, model: Path, url: str) -> Iterator[tuple[str, Known]]:
    """Yield where it listens, and who is known there; it is dead when this is left."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_serve, args=(point, folder, model, url, theirs))
    process.start()
    try:
        yield ours.recv()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()


def _serve(point: Point, folder: Path, model: Path, url: str, line: Connection) -> None:
    with served(folder, model, url=url) as server:
        server.wait_ready()
        store = server.services.store
        if point == "before the charge":
            server.desk.ledger = DyingLedger(store)
        else:
            server.app.state.idempotency = DyingIdempotency(store)
        line.send((server.url, (server.key, server.other_key, server.other_tenant)))
        line.recv()  # nothing comes: it waits for its death
