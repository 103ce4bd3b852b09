"""How many requests are here, and whether more may come.

In: requests that come and go, each for a tenant.  Out: refusals at once, where there is no room.
Knows no request's content.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from puna.errors import OverloadError, ShutdownError

RETRY_S = 1.0


class Gate:
    """Lets at most so many requests in; none once it is closed.

    A quarter more places are kept for tenants that hold less than an even share of all: whoever
    floods the server fills it for itself alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.places = most + most // 4
        self._held: Counter[str] = Counter()  # by tenant
        self.closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def inside(self) -> int:
        """How many are here."""
        return self._held.total()

    def enter(self, tenant: str) -> None:
        """Take a place; OverloadError if there is none, ShutdownError once closed."""
        if self.closed:
            raise ShutdownError("the server is shutting down; try another or again later")
        if not self._has_room(tenant):
            raise OverloadError(
                f"{self.inside} requests are being answered or wait; try again", RETRY_S
            )
        self._held[tenant] += 1
        self._empty.clear()

    def leave(self, tenant: str) -> None:
        """Give the place back."""
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        if not self._held:
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
        return not self._held

    def _has_room(self, tenant: str) -> bool:
        if self.inside < self._most:
            return True
        tenants = len(self._held.keys() | {tenant})
        return self.inside < self.places and self._held[tenant] * tenants < self._most
