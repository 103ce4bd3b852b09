"""/v1/responses: turns that the server remembers, each built upon an earlier one if it says so.

Answered as a chat is: admitted, begun, whole or as a stream, settled; then kept
for the tenant unless `store` is false.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from puna.errors import InvalidParameterError, NotFoundError, PunaError
from puna.server import failures
from puna.server.auth import ChatCaller
from puna.server.begun import Asked, answered
from puna.server.failures import failure_of
from puna.server.job import Job
from puna.server.response_answer import Draft
from puna.server.response_items import Object
from puna.server.response_request import NO_ZERO, ResponseRequest
from puna.server.stream import Events, event
from puna.services.responses import Kept, Responses

router = APIRouter(tags=["responses"], responses=failures.RESPONSES)

Id = Annotated[str, Path(min_length=1, max_length=64, pattern=NO_ZERO)]


class ResponseCancelledError(PunaError):
    """Its tenant has asked for the end of a response under way."""


@dataclass(frozen=True)
class Turn:
    """One response under way; `under_way` is what all of the server's tenants have."""

    body: ResponseRequest
    draft: Draft
    tenant_id: str
    kept: Responses
    under_way: UnderWay

    async def events(self, job: Job) -> AsyncGenerator[Object]:
        """Yield the events up to the end; raises what went wrong, once that is settled."""
        self._note_defaults(job)
        with self.under_way.noting(self, job):
            async with job:
                for one in self.draft.opening():
                    yield one
                try:
                    async for _, batch in job.batches():
                        for one in (one for delta in batch for one in self.draft.read(delta)):
                            yield one
                except ResponseCancelledError:
                    await job.close("disconnect")
                    for one in self.draft.end(job.usage, "cancelled"):
                        yield one
        if self.draft.response["status"] == "in_progress":
            for one in self.draft.end(job.usage):
                yield one
        await self.keep()
        yield self.draft.closing()

    async def keep(self) -> None:
        """Keep it for later turns, if it is to be kept."""
        if self.body.store is not False:
            turn = Kept(self.body.items, self.draft.response)
            await asyncio.to_thread(self.kept.keep, self.tenant_id, turn)

    def _note_defaults(self, job: Job) -> None:
        for name in ("temperature", "top_p"):
            said = getattr(self.body, name)
            self.draft.response[name] = job.llm.defaults.get(name, 1.0) if said is None else said


class Page(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None

    def of(self, items: list[Object]) -> dict[str, Any]:
        """Return the part as OpenAI's list; NotFoundError for an unknown `after`."""
        ordered = items if self.order == "asc" else items[::-1]
        ids = [item["id"] for item in ordered]
        if self.after is not None and self.after not in ids:
            raise NotFoundError("after: there is no such item")
        start = 0 if self.after is None else ids.index(self.after) + 1
        stop = start + self.limit
        return {
            "object": "list",
            "data": ordered[start:stop],
            "first_id": ids[start] if ids[start:stop] else None,
            "last_id": ids[start:stop][-1] if ids[start:stop] else None,
            "has_more": stop < len(ids),
        }


class _Noting:
    """A turn's stay among those under way."""

    def __init__(
        self, turns: dict[tuple[str, str], tuple[Turn, Job]], turn: Turn, job: Job
    ) -> None:
        self._turns, self._key, self._entry = turns, (turn.tenant_id, turn.draft.id), (turn, job)

    def __enter__(self) -> None:
        self._turns[self._key] = self._entry

    def __exit__(self, *_: object) -> None:
        self._turns.pop(self._key, None)


class UnderWay:
    """The responses that are being made, by tenant and id."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], tuple[Turn, Job]] = {}

    @classmethod
    def of(cls, request: Request) -> UnderWay:
        """Return the server's."""
        state = request.app.state
        if not hasattr(state, "responses_under_way"):
            state.responses_under_way = cls()
        under_way: UnderWay = state.responses_under_way
        return under_way

    def noting(self, turn: Turn, job: Job) -> _Noting:
        """Keep a turn findable while it is made."""
        return _Noting(self._turns, turn, job)

    def find(self, tenant_id: str, response_id: str) -> Object | None:
        """Return a response as far as it is."""
        found = self._turns.get((tenant_id, response_id))
        return found and found[0].draft.response

    def cancel(self, tenant_id: str, response_id: str) -> bool:
        """End a response under way; False where there is none."""
        found = self._turns.get((tenant_id, response_id))
        if found is not None:
            found[1].interrupt(ResponseCancelledError("the response was cancelled"))
        return found is not None


@router.post("/v1/responses")
async def create_response(body: ResponseRequest, request: Request, caller: ChatCaller) -> Response:
    """Answer input, after the turns it builds upon, whole or with `stream` as events."""
    kept = _kept(request)
    earlier = await _earlier(body, kept, caller.tenant_id)
    chat = body.chat(earlier)
    draft = Draft(body.echoed(), one_call=chat.calls_one)
    turn = Turn(body, draft, caller.tenant_id, kept, UnderWay.of(request))
    asked = Asked(request, caller, body.model, partial(chat.prepare, cache_salt=caller.tenant_id))
    return await answered(
        asked, whole=partial(_whole, turn), events=partial(_events, turn), stream=body.stream
    )


@router.get("/v1/responses/{response_id}")
async def get_response(response_id: Id, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Return a response that was kept, or one under way as far as it is."""
    under_way = UnderWay.of(request).find(caller.tenant_id, response_id)
    if under_way is not None:
        return under_way
    found = await asyncio.to_thread(_kept(request).get, caller.tenant_id, response_id)
    return found.response


@router.delete("/v1/responses/{response_id}")
async def delete_response(response_id: Id, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Delete a response for good, with what was sent for it."""
    await asyncio.to_thread(_kept(request).delete, caller.tenant_id, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/v1/responses/{response_id}/cancel")
async def cancel_response(response_id: Id, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """End a response that is being made; what it has said by then stays."""
    under_way = UnderWay.of(request)
    response = under_way.find(caller.tenant_id, response_id)
    if response is not None and under_way.cancel(caller.tenant_id, response_id):
        return {**response, "status": "cancelled"}
    await asyncio.to_thread(_kept(request).get, caller.tenant_id, response_id)
    raise InvalidParameterError("the response has ended; only one under way can be cancelled")


@router.get("/v1/responses/{response_id}/input_items")
async def list_input_items(
    response_id: Id,
    request: Request,
    caller: ChatCaller,
    page: Annotated[Page, Query()],
) -> dict[str, Any]:
    """List what was sent for a response, the newest first unless told otherwise."""
    found = await asyncio.to_thread(_kept(request).get, caller.tenant_id, response_id)
    return page.of(found.items)


def _kept(request: Request) -> Responses:
    return Responses(request.app.state.services.store)


async def _earlier(body: ResponseRequest, kept: Responses, tenant_id: str) -> list[Object]:
    if body.previous_response_id is None:
        return []
    return await asyncio.to_thread(kept.history, tenant_id, body.previous_response_id)


async def _whole(turn: Turn, job: Job) -> Response:
    async with aclosing(turn.events(job)) as events:
        async for _ in events:
            pass
    return JSONResponse(turn.draft.response)


async def _events(turn: Turn, job: Job) -> Events:
    try:
        async with aclosing(turn.events(job)) as events:
            async for one in events:
                yield event(one, one["type"])
    except PunaError as error:
        failure = failure_of(error)
        code = failure.code or "server_error"
        for one in [*turn.draft.fail(job.usage, code, failure.message), turn.draft.closing()]:
            yield event(one, one["type"])
