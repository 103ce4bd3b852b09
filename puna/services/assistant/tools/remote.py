"""Tools of the servers that the owner added, under names that tell whose they are.

In: the servers' rows.  Out: tools, `server__tool`, those that the owner allowed.
Does not know the protocol.  A server that cannot be reached offers nothing, and breaks nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from puna.chat import Tool as Definition
from puna.errors import ToolError
from puna.services.assistant.citations import visible
from puna.services.assistant.tools.connection import Connection
from puna.services.assistant.tools.servers import ToolServer, ToolServers
from puna.services.assistant.tools.tool import Asking

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
    """Holds the connections of one event loop."""

    def __init__(self, servers: ToolServers) -> None:
        self._servers = servers
        self._connections: dict[str, tuple[ToolServer, Connection]] = {}

    async def tools(self) -> list[RemoteTool]:
        """Return the allowed tools of the servers that answer."""
        servers = await asyncio.to_thread(self._servers.list)
        wanted = [server for server in servers if server.enabled and server.allowed]
        return [t for tools in await asyncio.gather(*map(self._allowed, wanted)) for t in tools]

    async def offers(self, name: str) -> list[Definition]:
        """Return what a server offers now, for the owner to choose among."""
        servers = {server.name: server for server in await asyncio.to_thread(self._servers.list)}
        if name not in servers:
            raise ToolError(f"there is no tool server {name!r}")
        return await (await self._connection(servers[name])).definitions()

    async def close(self) -> None:
        """End every connection."""
        for _, connection in self._connections.values():
            await connection.close()
        self._connections.clear()

    async def _allowed(self, server: ToolServer) -> list[RemoteTool]:
        try:
            connection = await self._connection(server)
            offered = await connection.definitions()
        except ToolError:
            return []
        return [
            RemoteTool(server.name, theirs, connection)
            for theirs in offered
            if server.allows(theirs) and _NAME.fullmatch(f"{server.name}__{theirs.name}")
        ]

    async def _connection(self, server: ToolServer) -> Connection:
        """Return the open connection, or a new one where the command or address changed."""
        known = self._connections.get(server.name)
        if known is not None and _reached_as(known[0]) == _reached_as(server):
            return known[1]
        if known is not None:
            await known[1].close()
        self._connections[server.name] = (server, Connection(server))
        return self._connections[server.name][1]


def _reached_as(server: ToolServer) -> tuple[Any, ...]:
    return server.command, server.url, server.token_file
