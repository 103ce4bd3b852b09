"""What tool servers offer: each asked once at a time, and waited for shortly.

Names of servers in; out what each said, or that it is still starting.  Knows no page.
A server that is slow to start goes on starting between two looks at it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from puna.chat import Tool as Definition
from puna.errors import PunaError
from puna.services.assistant.tools.remote import RemoteTools

PATIENCE_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """The tools of a server; `starting` before it answered, `fault` where it does not."""

    tools: Sequence[Definition] = ()
    starting: bool = False
    fault: str = ""


class Offers:
    """Asks the servers of one event loop."""

    def __init__(self, remote: RemoteTools, *, patience_s: float = PATIENCE_S) -> None:
        self._remote, self._patience_s = remote, patience_s
        self._asking: dict[str, asyncio.Task[Offer]] = {}

    async def of(self, names: Sequence[str]) -> dict[str, Offer]:
        """Ask them all at once, and return what is known when patience ends."""
        tasks = {name: self._task(name) for name in names}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._patience_s)
        return {name: self._told(name, task) for name, task in tasks.items()}

    async def forget(self, name: str) -> None:
        """Ask a server no more, and end its process or connection."""
        task = self._asking.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._remote.forget(name)

    def _task(self, name: str) -> asyncio.Task[Offer]:
        if name not in self._asking:
            asking = self._asked(name)
            self._asking[name] = asyncio.create_task(asking, name=f"the offer of {name}")
        return self._asking[name]

    def _told(self, name: str, task: asyncio.Task[Offer]) -> Offer:
        if not task.done():
            return Offer(starting=True)
        if self._asking.get(name) is task:
            del self._asking[name]
        return Offer(fault="it was switched off meanwhile") if task.cancelled() else task.result()

    async def _asked(self, name: str) -> Offer:
        try:
            return Offer(await self._remote.offers(name))
        except PunaError as error:
            return Offer(fault=str(error))
        except Exception:
            log.exception("a tool server could not be asked for what it offers")
            return Offer(fault="it could not be asked; the server's log says why")
