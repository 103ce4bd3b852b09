"""Server-sent events: pieces in, bytes on a socket out.

A silent stream says a comment every so often, from before the first piece on.
A client that goes away, or is cut since it does not read, ends the pieces' source.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from puna.server.departure import departure
from puna.server.failures import failure_of
from puna.server.job import Job
from puna.server.settings import ServerSettings

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"

Events = AsyncGenerator[bytes, None]


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """Return one event."""
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


class EventStream(Response):
    """Sends events as they come; ends the job that makes them, if it is given, however it goes."""

    media_type = "text/event-stream"

    def __init__(self, events: Events, job: Job | None, settings: ServerSettings) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events, self._job = events, job
        self._ping_s = settings.ping_s

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the events or the client's patience end."""
        writing = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(departure(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not writing.done():
                writing.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await writing
            if self._job is not None:  # events that were never begun have left it open
                await self._job.close("disconnect")

    async def _write(self, send: Send) -> None:
        async with (
            aclosing(self._events),
            aclosing(paced(told(self._events), self._ping_s)) as pieces,
        ):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in pieces:
                body = {"type": "http.response.body", "body": piece, "more_body": True}
                await send(body)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def told(events: AsyncIterator[bytes]) -> Events:
    """Yield events; an error in the midst becomes the last one."""
    try:
        async for piece in events:
            yield piece
    except Exception as error:
        yield event(failure_of(error).body)


async def paced(pieces: Events, ping_s: float) -> Events:
    """Yield pieces, and a comment whenever none has come for `ping_s`."""
    coming: asyncio.Future[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(pieces))
            await asyncio.wait({coming}, timeout=ping_s)
            if coming.done():
                piece, coming = coming.result(), None
                yield piece
            else:
                yield PING
    except _EndError:
        return
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, _EndError):
                await coming
        await pieces.aclose()


class _EndError(Exception):
    """The pieces have ended; StopAsyncIteration cannot leave a task."""


async def _next(pieces: Events) -> bytes:
    try:
        return await anext(pieces)
    except StopAsyncIteration:
        raise _EndError from None
