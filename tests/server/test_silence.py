"""A stream that says nothing for long still passes a proxy that cuts silent connections."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from puna.server import ServerSettings
from puna.server.connection import protocol_with
from puna.server.stream import DONE, Events, EventStream, event

LIMITS = ServerSettings(ping_s=0.2)
CUT_S = 2.0  # the proxy's patience: ten times a ping's, as the machine has other work
SILENCE_S = 2.5


async def halting() -> Events:
    """Thinks long before the first word, and before the next."""
    for number in range(2):
        await asyncio.sleep(SILENCE_S)
        yield event({"number": number})
    yield DONE


async def answer(_request: Request) -> Response:
    return EventStream(halting(), None, LIMITS)


@contextmanager
def running() -> Iterator[int]:
    """Serve it behind our own protocol; yields the port."""
    app = Starlette(routes=[Route("/", answer)])
    config = uvicorn.Config(
        app, port=0, http=protocol_with(LIMITS), ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


class Proxy:
    """Passes bytes on both ways; what says nothing for `CUT_S` is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cuts, self.longest_gap_s = 0, 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(self._ask(reader, ours))
        began = time.monotonic()
        try:
            while piece := await asyncio.wait_for(theirs.read(65536), CUT_S):
                self.longest_gap_s = max(self.longest_gap_s, time.monotonic() - began)
                began = time.monotonic()
                writer.write(piece)
                await writer.drain()
        except TimeoutError:
            self.cuts += 1
        asking.cancel()
        for end in (ours, writer):
            end.close()

    async def _ask(self, reader: asyncio.StreamReader, ours: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                ours.write(piece)


async def ask_through(proxy: Proxy) -> list[str]:
    """Return the lines that come through."""
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        headers = {"Connection": "close"}
        async with (
            httpx2.AsyncClient(timeout=60) as client,
            client.stream("GET", f"http://127.0.0.1:{port}/", headers=headers) as stream,
        ):
            return [line async for line in stream.aiter_lines() if line]


def test_silence_before_and_between_words_is_not_cut() -> None:
    with running() as port:
        proxy = Proxy(port)
        lines = asyncio.run(ask_through(proxy))
    said = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert [json.loads(one)["number"] for one in said[:-1]] == [0, 1]
    assert said[-1] == "[DONE]"
    assert lines.count(": ping") >= 2 * SILENCE_S / CUT_S
    assert proxy.cuts == 0
    assert LIMITS.ping_s * 0.9 < proxy.longest_gap_s < CUT_S
