"""Runs a test's coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")


def ran(story: Callable[[], Awaitable[Value]]) -> Value:
    """Run on a thread of its own: another test's loop may live on this one."""

    async def awaited() -> Value:
        return await story()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(awaited())).result()
