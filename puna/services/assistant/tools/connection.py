"""A connection to a tool server, through the official `mcp` package: stdio or streamable HTTP.

In: a server's command or address.  Out: its tools' definitions, and the results of calls.
Does not know who may call what.  The server sees arguments alone, none of Puna's environment.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, Tool

from puna.chat import Tool as Definition
from puna.errors import ToolError
from puna.services.assistant.tools.bounded import Bounded
from puna.services.assistant.tools.servers import ToolServer

START_S = 20.0
CALL_S = 30.0
MOST_TOOLS = 200  # of one server
MOST_PAGES = 20  # of the list
LONGEST_DESCRIPTION = 2_000  # characters
LONGEST_SCHEMA = 20_000  # characters; the model would have to read it
MOST_EVENT_BYTES = 4 * 2**20

Result = TypeVar("Result")


class Connection:
    """Opens at the first call, stays for the next ones, opens anew after the server broke off."""

    def __init__(
        self, server: ToolServer, *, start_s: float = START_S, call_s: float = CALL_S
    ) -> None:
        self._server, self._start_s, self._call_s = server, start_s, call_s
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._done = asyncio.Event()

    async def definitions(self) -> list[Definition]:
        """Return what the server offers; ToolError if it cannot be reached."""

        async def listed(client: Client) -> list[Definition]:
            return [_definition(tool) async for tool in _tools(client)]

        return await self._asked(listed, self._start_s)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return the result's text; ToolError where the tool says that it failed."""
        answer = await self._asked(lambda c: c.call_tool(tool, dict(arguments)), self._call_s)
        text = "\n".join(
            part.text if isinstance(part, TextContent) else f"({part.type}, which is not shown)"
            for part in answer.content
        )
        if answer.is_error:
            raise ToolError(text or "the tool failed and does not say why")
        return text

    async def close(self) -> None:
        """End the connection, and the server's process with it."""
        self._done.set()
        keeper, self._keeper, self._client = self._keeper, None, None
        if keeper is not None:
            await asyncio.wait([keeper])

    async def _asked(self, ask: Callable[[Client], Awaitable[Result]], limit_s: float) -> Result:
        client = await self._opened()
        name = self._server.name
        try:
            return await asyncio.wait_for(ask(client), limit_s)
        except TimeoutError:
            await self.close()
            raise ToolError(f"the tool server {name!r} took more than {limit_s:g} s") from None
        except Exception as error:  # whatever the server's answer brings up is the server's
            await self.close()
            raise ToolError(f"the tool server {name!r} failed: {_reason(error)}") from error

    async def _opened(self) -> Client:
        async with self._opening:
            if self._client is None:
                self._client = await self._open()
            return self._client

    async def _open(self) -> Client:
        """Let a task of its own hold the connection: it must end where it began."""
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._done = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(ready, self._done))
        name = self._server.name
        try:
            return await asyncio.wait_for(asyncio.shield(ready), self._start_s)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            if isinstance(error, asyncio.CancelledError):
                raise
            raise ToolError(
                f"the tool server {name!r} did not start in {self._start_s:g} s"
            ) from None

    async def _keep(self, ready: asyncio.Future[Client], done: asyncio.Event) -> None:
        try:
            async with _transport(self._server) as transport, Client(transport) as client:
                ready.set_result(client)
                await done.wait()
        except Exception as error:  # a command that does not exist, an address nobody answers at
            if not ready.done():
                reason = (
                    f"the tool server {self._server.name!r} cannot be reached: {_reason(error)}"
                )
                ready.set_exception(ToolError(reason))
        finally:
            self._client = None


@asynccontextmanager
async def _transport(server: ToolServer) -> AsyncIterator[Any]:
    if server.command:
        command, *arguments = server.command
        with open(os.devnull, "w", encoding="utf-8") as unheard:
            yield stdio_client(StdioServerParameters(command=command, args=arguments), unheard)
        return
    headers = {"Authorization": f"Bearer {_token(server)}"} if server.token_file else {}
    timeout = httpx2.Timeout(START_S, read=CALL_S)
    # The package follows redirects within the address's own origin alone.
    client = httpx2.AsyncClient(
        headers=headers, timeout=timeout, trust_env=False, transport=Bounded()
    )
    async with client:
        yield streamable_http_client(
            server.url, http_client=client, max_sse_event_size=MOST_EVENT_BYTES
        )


async def _tools(client: Client) -> AsyncIterator[Tool]:
    """Yield what the server lists, page by page, as far as anybody would read."""
    cursor, left = None, MOST_TOOLS
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools[:left]:
            if len(json.dumps(tool.input_schema)) <= LONGEST_SCHEMA:
                yield tool
        cursor, left = page.next_cursor, left - len(page.tools)
        if not cursor or left <= 0:
            return


def _token(server: ToolServer) -> str:
    try:
        return Path(server.token_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ToolError(f"the token of {server.name!r} cannot be read: {error.strerror}") from None


def _definition(tool: Tool) -> Definition:
    described = (tool.description or "")[:LONGEST_DESCRIPTION]
    return Definition(tool.name, described, dict(tool.input_schema))


def _reason(error: BaseException) -> str:
    """Return the first line of the innermost error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error) or type(error).__name__).splitlines()[0][:300]
