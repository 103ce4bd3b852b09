"""A billable request, from its body to its response, as long as its client stays.

In: who asks, for which model, the work on text.  Out: the response, whole or
as a stream.  Knows no shapes: the routes hand them in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from puna.accounts import Caller
from puna.server.departure import while_connected
from puna.server.desk import Desk, Preparing
from puna.server.job import Job
from puna.server.left import headers_of
from puna.server.repeated import Once
from puna.server.stream import Events, EventStream


@dataclass(frozen=True)
class Asked:
    """One request."""

    request: Request
    caller: Caller
    model: str
    preparing: Preparing

    @property
    def desk(self) -> Desk:
        """Where it is admitted."""
        desk: Desk = self.request.app.state.desk
        return desk

    async def begin(self, claim: str | None = None) -> Job:
        """Admit it; what the caller then has left goes into the answer's headers."""
        job = await self.desk.begin(self.caller, self.model, self.preparing, claim)
        self.request.state.left = headers_of(job.admission.standing)
        return job


async def answered(
    asked: Asked,
    *,
    whole: Callable[[Job], Awaitable[Response]],
    events: Callable[[Job], Events] | None = None,
    stream: bool | None = False,
    lasting: bool = False,
) -> Response:
    """Begin and answer, with `stream` by `events`, once for each Idempotency-Key.

    A client that goes away ends it, unless it is `lasting` or has a key to ask again with.
    """

    async def begin_and_answer(claim: str | None = None) -> Response:
        response = await whole(await asked.begin(claim))
        asked.request.state.left = None  # settled: more is left than while it was reserved
        return response

    streamed = events if stream else None
    once = await Once.of(asked.request, asked.caller)
    if once is not None:
        if streamed is not None:
            return await once.stream(asked.begin, streamed)
        return await once.whole(begin_and_answer)
    if streamed is not None:
        job = await while_connected(asked.request, asked.begin())
        return EventStream(streamed(job), None if lasting else job, asked.desk.settings)
    return await while_connected(asked.request, begin_and_answer())
