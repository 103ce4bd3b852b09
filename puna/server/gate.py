"""How many requests are here, and whether more may come.

In: requests that come and go.  Out: refusals at once, where there is no room.
Knows no request's content.
"""

from __future__ import annotations

import asyncio

from puna.errors import OverloadError, ShutdownError

RETRY_S = 1.0


class Gate:
    """Lets at most so many requests in; none once it is closed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.inside = 0
        self.closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Take a place; OverloadError if there is none, ShutdownError once closed."""
        if self.closed:
            raise ShutdownError("the server is shutting down; try another or again later")
        if self.inside >= self._most:
            raise OverloadError(
                f"{self.inside} requests are being answered or wait; try again", RETRY_S
            )
        self.inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Give the place back."""
        self.inside -= 1
        if self.inside == 0:
            self._empty.set()

    def close(self) -> None:
        """Let nobody in any more."""
        self.closed = True

    async def empty(self, patience_s: float, hurry: asyncio.Event | None = None) -> bool:
        """Wait until everybody has left, or `hurry` is set; False if somebody is still there."""
        waits = [self._empty.wait(), *([hurry.wait()] if hurry else [])]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        await asyncio.wait(tasks, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        return self.inside == 0
