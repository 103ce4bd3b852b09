"""What is done again and again while the server runs, and outlives whatever goes wrong in a round.

In: work, and how often.  Out: nothing; a failure is logged once, counted, and tried again.
Knows no work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Never

from puna.errors import StoreError
from puna.server.tally import Tally

log = logging.getLogger(__name__)


async def repeated(
    name: str, work: Callable[[], Awaitable[object]], pause_s: float, tally: Tally
) -> Never:
    """Do it now, and again after each pause, until the task is cancelled."""
    told: type[Exception] | None = None
    while True:
        try:
            await work()
        except Exception as error:
            tally.lapse(name)
            if type(error) is not told:
                _tell(name, error)
            told = type(error)
        else:
            told = None
        await asyncio.sleep(pause_s)


def _tell(name: str, error: Exception) -> None:
    """A database that is away says so in a line; what nobody foresaw, with its place."""
    foreseen = isinstance(error, StoreError)
    message = "%s: %s; the next round tries again"
    log.error(message, name, error if foreseen else "failed", exc_info=None if foreseen else error)
