"""Running answers: heard by many, from the first word, until they end or are stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from puna.server.web.turns import Event, Turn, Turns


def ran(story: Callable[[], Awaitable[None]]) -> None:
    """Run on a thread of its own: a browser's driver may hold this thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(_awaited(story))).result()


async def _awaited(story: Callable[[], Awaitable[None]]) -> None:
    await story()


async def heard(turn: Turn) -> list[Any]:
    return [json.loads(line) async for line in turn.follow()]


class Script:
    """Events that come when they are let go; remembers whether it was closed."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.closed = False

    async def events(self) -> AsyncGenerator[Event, None]:
        try:
            yield {"n": 1}
            await self.go.wait()
            yield {"n": 2}
        finally:
            self.closed = True


def test_a_late_listener_hears_everything() -> None:
    async def story() -> None:
        turns, script = Turns(), Script()
        turn = turns.open("u", "c")
        turns.start(turn, script.events())
        first = asyncio.create_task(heard(turn))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(heard(turn))
        script.go.set()
        assert await first == await second == [{"n": 1}, {"n": 2}]
        assert turns.find("u", turn.id) is None

    ran(story)


def test_an_answer_goes_on_when_nobody_listens() -> None:
    async def story() -> None:
        turns, script = Turns(), Script()
        turn = turns.open("u", "c")
        turns.start(turn, script.events())
        listener = asyncio.create_task(heard(turn))
        await asyncio.sleep(0.01)
        listener.cancel()
        script.go.set()
        assert await heard(turn) == [{"n": 1}, {"n": 2}]

    ran(story)


def test_stopping_ends_the_source_and_every_listener() -> None:
    async def story() -> None:
        turns, script = Turns(), Script()
        turn = turns.open("u", "c")
        turns.start(turn, script.events())
        listener = asyncio.create_task(heard(turn))
        await asyncio.sleep(0.01)
        await turn.stop()
        assert await listener == [{"n": 1}]
        assert script.closed
        assert turns.running("u", "c") is None

    ran(story)


def test_one_answer_at_a_time_and_none_of_somebody_else() -> None:
    async def story() -> None:
        turns = Turns()
        turn = turns.open("u", "c")
        with pytest.raises(ValueError, match="c"):
            turns.open("u", "c")
        assert turns.find("other", turn.id) is None
        turns.open("other", "c")

    ran(story)
