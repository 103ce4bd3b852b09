"""Clients that go away: whatever is done for one ends when it does.

In: a request and work for it.  Out: the work's result, or its end.  Knows no
work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


async def nobody(_request: Request, _error: Exception) -> Response:
    """Answer who is gone, as nginx's log calls it."""
    return Response(status_code=499)


async def departure(receive: Receive) -> None:
    """Return once the client has gone; the body must have been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the work's result; where the client goes, cancel it and raise ClientGoneError."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(departure(request.receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
        return await doing
    except asyncio.CancelledError:
        doing.cancel()
        if leaving.done():
            raise ClientGoneError from None
        raise
    finally:
        leaving.cancel()
