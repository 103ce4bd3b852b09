"""The same request sent again under its Idempotency-Key: answered as the first time, made once.

In: a request, who asks, and how its answer is made.  Out: the answer, made or found.
Such an answer is made to its end though its client goes away: the client may ask again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Self

from fastapi import Request
from starlette.responses import JSONResponse, Response

from puna.accounts import Caller, Claim, Idempotency, Recorded
from puna.errors import PunaError, RateLimitError, StoreError
from puna.server.departure import while_connected
from puna.server.desk import Desk
from puna.server.failures import BAD, Failure
from puna.server.job import Job
from puna.server.record import Record
from puna.server.stream import Events, EventStream

log = logging.getLogger(__name__)

HEADER = "idempotency-key"
REPLAYED = {"Idempotent-Replayed": "true"}
PATIENCE_S = 60.0  # to wait while another makes the answer
LOOK_AGAIN_S = 0.25
KEPT_BYTES = 2**20
NOT_KEPT = Failure(
    409,
    f"this was answered, but the answer is not kept: it had more than {KEPT_BYTES} bytes, or later "
    "ones needed its room; send it with a new Idempotency-Key to have it made and charged again",
    BAD,
    "answer_not_kept",
)


class Once:
    """One request under its key."""

    def __init__(self, request: Request, caller: Caller, body: bytes) -> None:
        self._request, self._tenant_id = request, caller.tenant_id
        self._key = request.headers[HEADER]
        self._sent = f"{request.method} {request.url.path}\n".encode() + body
        self._kept: Idempotency = request.app.state.idempotency
        self._desk: Desk = request.app.state.desk

    @classmethod
    async def of(cls, request: Request, caller: Caller) -> Self | None:
        """Return it, if there is a key."""
        if HEADER not in request.headers:
            return None
        return cls(request, caller, await request.body())

    async def whole(self, make: Callable[[str], Awaitable[Response]]) -> Response:
        """Return the answer in one piece, made under a claim's id."""
        claim = await self._claim()
        if isinstance(claim, Recorded):
            return _replay(claim, "application/json")
        making = self._desk.do(self._make(claim, make))
        making.add_done_callback(_look)
        return await while_connected(self._request, _shielded(making))

    async def stream(
        self, begin: Callable[[str], Awaitable[Job]], events: Callable[[Job], Events]
    ) -> Response:
        """Return the answer as it is made under a claim's id, or all its events at once."""
        claim = await self._claim()
        if isinstance(claim, Recorded):
            return _replay(claim, EventStream.media_type)
        job = await while_connected(self._request, self._begin(claim, begin))
        record = Record[bytes]()
        self._desk.do(self._write(claim, events(job), record))
        return EventStream(record.follow(), None, self._desk.settings)

    async def _claim(self) -> Recorded | Claim:
        """Return the answer, once there is one; a claim where it is ours to make."""
        return await while_connected(self._request, self._waiting())

    async def _waiting(self) -> Recorded | Claim:
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE_S
        while True:
            try:
                return await self._ask()
            except RateLimitError:  # another makes it
                if clock() > until:
                    raise
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _ask(self) -> Recorded | Claim:
        """Ask for the claim; where the client goes meanwhile, it is given back."""
        begin = partial(self._kept.begin, self._tenant_id, self._key, self._sent)
        asking = self._desk.do(asyncio.to_thread(begin))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            self._desk.do(self._give_back(asking))
            raise

    async def _give_back(self, asking: asyncio.Task[Recorded | Claim]) -> None:
        with suppress(PunaError):
            if isinstance(claim := await asking, Claim):
                await self._abandon(claim)

    async def _begin(self, claim: Claim, begin: Callable[[str], Awaitable[Job]]) -> Job:
        try:
            return await begin(claim.id)
        except BaseException:
            self._desk.do(self._abandon(claim))
            raise

    async def _make(self, claim: Claim, make: Callable[[str], Awaitable[Response]]) -> Response:
        try:
            response = await make(claim.id)
        except BaseException:
            await self._abandon(claim)
            raise
        await self._finish(claim, bytes(response.body))
        return response

    async def _write(self, claim: Claim, events: Events, record: Record[bytes]) -> None:
        try:
            async with aclosing(events):
                async for piece in events:
                    record.add(piece)
        except Exception as error:
            record.end(error)
            await self._abandon(claim)
        else:
            record.end()
            await self._finish(claim, b"".join(record.pieces))

    async def _finish(self, claim: Claim, body: bytes) -> None:
        answer = Recorded(200, body if len(body) <= KEPT_BYTES else None)
        try:
            await asyncio.to_thread(self._kept.finish, claim, answer)
        except StoreError as error:  # the client has its answer all the same
            log.warning("an answer could not be kept for its Idempotency-Key: %s", error)

    async def _abandon(self, claim: Claim) -> None:
        await asyncio.to_thread(self._kept.abandon, claim)


def _replay(recorded: Recorded, media_type: str) -> Response:
    if recorded.body is None:
        return JSONResponse(NOT_KEPT.body, NOT_KEPT.status, REPLAYED)
    if recorded.status != 200:
        return Response(recorded.body, recorded.status, REPLAYED, JSONResponse.media_type)
    return Response(recorded.body, 200, REPLAYED, media_type)


async def _shielded(making: asyncio.Task[Response]) -> Response:
    return await asyncio.shield(making)


def _look(made: asyncio.Task[Response]) -> None:
    """Nobody may be there to hear of a failure."""
    if not made.cancelled():
        made.exception()
