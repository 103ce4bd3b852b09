"""Tools of the servers that the owner added, under names that tell whose they are.

In: the servers' rows.  Out: tools, `server__tool`, those that the owner allowed.
Does not know the protocol.  A server that cannot be reached offers nothing, and breaks nothing.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from puna.chat import Tool as Definition
from puna.errors import ToolError
from puna.services.assistant.citations import visible
from puna.services.assistant.tools.servers import ToolServer, ToolServers
from puna.services.assistant.tools.tool import Asking

if TYPE_CHECKING:
    from puna.services.assistant.tools.connection import Connection

PATIENCE_S = 2.0  # a turn waits so long for servers that it does not know yet
OFFERED_S = 300.0  # then it is asked again what it offers
FAILED_S = 60.0  # then it is tried again

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RemoteTool:
    """One allowed tool of a server."""

    def __init__(self, server: str, theirs: Definition, connection: Connection) -> None:
        self._theirs, self._connection = theirs, connection
        self.label = f"{server}: {theirs.name}"
        described = visible(theirs.description)
        self.definition = Definition(f"{server}__{theirs.name}", described, theirs.parameters)

    async def call(self, _asking: Asking, arguments: Mapping[str, Any]) -> str:
        """Return what the server answers."""
        return visible(await self._connection.call(self._theirs.name, arguments))


class RemoteTools:
    """Holds the connections of one event loop, and what their servers offered last."""

    def __init__(self, servers: ToolServers, *, patience_s: float = PATIENCE_S) -> None:
        self._servers, self._patience_s = servers, patience_s
        self._connections: dict[str, tuple[ToolServer, Connection]] = {}
        self._looks: dict[str, _Look] = {}

    async def tools(self) -> list[RemoteTool]:
        """Return the allowed tools of the servers that answer.

        A server that is not known yet is waited for shortly; it goes on starting meanwhile, and
        offers its tools from the next turn on.
        """
        servers = await asyncio.to_thread(self._servers.list)
        wanted = [server for server in servers if server.enabled and server.allowed]
        looks = [(server, await self._look(server)) for server in wanted]
        waited = [look.task for _, look in looks if not look.task.done()]
        if waited:
            await asyncio.wait(waited, timeout=self._patience_s)
        return [tool for server, look in looks for tool in _allowed(server, look)]

    async def offers(self, name: str) -> list[Definition]:
        """Return what a server offers now, for the owner to choose among."""
        servers = {server.name: server for server in await asyncio.to_thread(self._servers.list)}
        if name not in servers:
            raise ToolError(f"there is no tool server {name!r}")
        self._looks.pop(name, None)
        return await (await self._connection(servers[name])).definitions()

    async def forget(self, name: str) -> None:
        """End the connection to a server that was removed or switched off."""
        look = self._looks.pop(name, None)
        if look is not None:
            look.task.cancel()
            await asyncio.wait([look.task])
        known = self._connections.pop(name, None)
        if known is not None:
            await known[1].close()

    async def close(self) -> None:
        """End every connection."""
        tasks = [look.task for look in self._looks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, connection in self._connections.values():
            await connection.close()
        self._connections.clear()
        self._looks.clear()

    async def _look(self, server: ToolServer) -> _Look:
        """Return the last look at what a server offers, or begin a new one where it is old."""
        connection = await self._connection(server)
        known = self._looks.get(server.name)
        if known is None or known.connection is not connection or known.is_old():
            task = asyncio.create_task(_offered(connection), name=f"tools of {server.name}")
            known = self._looks[server.name] = _Look(connection, task, time.monotonic())
        return known

    async def _connection(self, server: ToolServer) -> Connection:
        """Return the open connection, or a new one where the command or address changed."""
        known = self._connections.get(server.name)
        if known is not None and _reached_as(known[0]) == _reached_as(server):
            return known[1]
        if known is not None:
            await known[1].close()
        # The package behind it takes half a second to import, and most servers have no tools.
        from puna.services.assistant.tools.connection import Connection  # noqa: PLC0415

        self._connections[server.name] = (server, Connection(server))
        return self._connections[server.name][1]


@dataclass(frozen=True)
class _Look:
    """One look at what a server offers: None if it could not be reached."""

    connection: Connection
    task: asyncio.Task[list[Definition] | None]
    begun_at: float

    def is_old(self) -> bool:
        if not self.task.done():
            return False
        kept_s = FAILED_S if self.task.result() is None else OFFERED_S
        return time.monotonic() - self.begun_at > kept_s


async def _offered(connection: Connection) -> list[Definition] | None:
    try:
        return await connection.definitions()
    except ToolError:
        return None


def _allowed(server: ToolServer, look: _Look) -> list[RemoteTool]:
    offered = (look.task.result() if look.task.done() else None) or []
    return [
        RemoteTool(server.name, theirs, look.connection)
        for theirs in offered
        if server.allows(theirs) and _NAME.fullmatch(f"{server.name}__{theirs.name}")
    ]


def _reached_as(server: ToolServer) -> tuple[Any, ...]:
    return server.command, server.url, server.token_file
