"""Readings ahead: while somebody writes a question, the model reads what stands before it.

In: work for a person.  Out: nothing.  Nobody is charged for it, so it is bounded: one reading a
person at a time, and a rest after it as long as it took.  Knows no page.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from puna.errors import PunaError
from puna.server.tally import Tally

log = logging.getLogger(__name__)


class Readings:
    """The readings that are going on, by person."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, user_id: str, read: Callable[[], Awaitable[None]]) -> None:
        """Read beside everything else; nothing is read where the person's last one goes on."""
        if user_id not in self._tasks:
            self._tasks[user_id] = asyncio.create_task(self._run(user_id, read))

    async def _run(self, user_id: str, read: Callable[[], Awaitable[None]]) -> None:
        begun = time.monotonic()
        try:
            await read()
        except PunaError:
            pass  # whoever sends the question is told what is wrong
        except Exception:
            self._tally.lapse("reading ahead")
            log.exception("nothing could be read ahead")
        finally:
            try:
                await asyncio.sleep(time.monotonic() - begun)
            finally:
                del self._tasks[user_id]
