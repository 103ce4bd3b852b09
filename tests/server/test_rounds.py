"""Work in the background outlives whatever goes wrong in a round."""

from __future__ import annotations

import asyncio
import logging

import pytest

from puna.errors import StoreError
from puna.server.rounds import repeated
from puna.server.tally import Tally


class Work:
    """Fails as it is told to, round after round."""

    def __init__(self, *rounds: Exception | None) -> None:
        self._rounds = list(rounds)
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        if not self._rounds:
            self.done.set()
            return
        error = self._rounds.pop(0)
        if error is not None:
            raise error


def test_a_failure_is_logged_once_counted_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away, broken = StoreError("the database is away"), ZeroDivisionError("ours")
    tally = Tally()

    async def main() -> None:
        work = Work(away, away, broken, broken, None, broken, MemoryError())
        task = asyncio.create_task(repeated("tidying", work, 0.0, tally))
        await asyncio.wait_for(work.done.wait(), 5)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    with caplog.at_level(logging.ERROR, "puna.server.rounds"):
        asyncio.run(main())
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "tidying: the database is away; the next round tries again",
        "tidying: failed; the next round tries again",
        "tidying: failed; the next round tries again",
        "tidying: failed; the next round tries again",
    ]
    assert [bool(record.exc_info) for record in caplog.records] == [False, True, True, True]
    count = tally.registry.get_sample_value("puna_background_failures_total", {"work": "tidying"})
    assert count == 6
