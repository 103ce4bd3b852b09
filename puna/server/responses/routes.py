"""/v1/responses: turns that the server remembers, each built upon an earlier one if it says so.

Answered as a chat is: admitted, begun, whole or as a stream, settled; then kept for the
tenant unless `store` is false.  In the background it goes on without its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from puna.errors import ConflictError, InvalidParameterError, PunaError
from puna.llm import LLM
from puna.llm.asynchronous import worked
from puna.llm.prepared import Prepared
from puna.server import failures
from puna.server.auth import ChatCaller, Keyed
from puna.server.begun import Asked, answered
from puna.server.chat_request import ChatRequest
from puna.server.job import Job
from puna.server.reference import STREAM, CountedTokens, answers
from puna.server.responses.answer import Draft
from puna.server.responses.fit import fitted
from puna.server.responses.items import Object
from puna.server.responses.page import Page
from puna.server.responses.reference import DeletedResponse, ItemList, ResponseShape
from puna.server.responses.request import NO_ZERO, ResponseRequest
from puna.server.responses.turn import Turn
from puna.server.responses.under_way import UnderWay
from puna.server.stream import Events, EventStream, event
from puna.services.responses import Kept, Responses

router = APIRouter(tags=["responses"], responses=failures.RESPONSES, route_class=Keyed)

Id = Annotated[str, Path(min_length=1, max_length=64, pattern=NO_ZERO)]
LOOKS, LOOK_AGAIN_S = 50, 0.1  # for another process to end what it makes
LOST = {"code": "server_error", "message": "the server ended before it had answered"}


@router.post("/v1/responses", responses=answers(ResponseShape, STREAM))
async def create_response(body: ResponseRequest, request: Request, caller: ChatCaller) -> Response:
    """Answer input, after the turns it builds upon, whole or with `stream` as events.

    With `background` it is answered at once, and made while nobody waits for it.
    """
    chat = body.chat(await _earlier(body, request, caller.tenant_id))
    turn = Turn(body, Draft(body.echoed()), caller.tenant_id, _kept(request), _under_way(request))
    asked = Asked(request, caller, body.model, partial(_prepared, body, chat, caller.tenant_id))
    if body.background:
        whole, events = partial(_whole_later, turn), partial(_events_later, turn)
    else:
        whole, events = partial(_whole, turn), partial(_events, turn)
    return await answered(
        asked, whole=whole, events=events, stream=body.stream, lasting=bool(body.background)
    )


@router.post(
    "/v1/responses/input_tokens",
    tags=["tokens"],
    response_model=None,
    responses=answers(CountedTokens),
)
async def count_response_tokens(
    body: ResponseRequest, request: Request, caller: ChatCaller
) -> dict[str, Any]:
    """Say how many tokens input takes as a prompt, with the turns it builds upon."""
    chat = body.chat(await _earlier(body, request, caller.tenant_id))
    async with request.app.state.desk.texts.lend(caller, body.model) as llm:
        count = await worked(lambda: _shortened(body, chat, llm).count(llm))
    return {"object": "response.input_tokens", "input_tokens": count}


@router.get("/v1/responses/{response_id}", responses=answers(ResponseShape, STREAM))
async def get_response(
    response_id: Id,
    request: Request,
    caller: ChatCaller,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=-1)] = -1,
) -> Response:
    """Return a response that was kept, or one under way as far as it is.

    With `stream`, the events of one that is made in the background, from any of them on.
    """
    if stream:
        record = _under_way(request).recorded(caller.tenant_id, response_id)
        if record is not None:
            events = _named(record.follow(starting_after + 1))
            return EventStream(events, None, request.app.state.settings)
        kept = await asyncio.to_thread(_kept(request).get, caller.tenant_id, response_id)
        raise _not_followed(kept)
    under_way = _under_way(request).find(caller.tenant_id, response_id)
    if under_way is not None:
        return JSONResponse(under_way)
    kept = await asyncio.to_thread(_kept(request).get, caller.tenant_id, response_id)
    return JSONResponse(_shown(kept))


@router.delete(
    "/v1/responses/{response_id}", response_model=None, responses=answers(DeletedResponse)
)
async def delete_response(response_id: Id, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Delete a response for good, with what was sent for it; one under way is ended."""
    _under_way(request).forget(caller.tenant_id, response_id)
    await asyncio.to_thread(_kept(request).delete, caller.tenant_id, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post(
    "/v1/responses/{response_id}/cancel", response_model=None, responses=answers(ResponseShape)
)
async def cancel_response(response_id: Id, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """End a response that is being made; what it has said by then stays."""
    under_way = _under_way(request)
    response = under_way.find(caller.tenant_id, response_id)
    if response is not None and under_way.cancel(caller.tenant_id, response_id):
        return {**response, "status": "cancelled"}
    kept = await _cancelled_elsewhere(_kept(request), caller.tenant_id, response_id)
    ended = kept.ended or kept.lost
    if ended and kept.response["status"] != "cancelled":
        raise InvalidParameterError("the response has ended; only one under way can be cancelled")
    return kept.response


@router.get(
    "/v1/responses/{response_id}/input_items", response_model=None, responses=answers(ItemList)
)
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
    responses: Responses = request.app.state.services.responses
    return responses


def _under_way(request: Request) -> UnderWay:
    under_way: UnderWay = request.app.state.under_way
    return under_way


async def _cancelled_elsewhere(kept: Responses, tenant_id: str, response_id: str) -> Kept:
    """Leave word for the process that makes it, and wait a while until that has ended it."""
    found = await asyncio.to_thread(kept.cancel, tenant_id, response_id)
    for _ in range(LOOKS):
        if found.ended or found.lost:
            break
        await asyncio.sleep(LOOK_AGAIN_S)
        found = await asyncio.to_thread(kept.get, tenant_id, response_id)
    return found


def _shown(kept: Kept) -> Object:
    return {**kept.response, "status": "failed", "error": LOST} if kept.lost else kept.response


async def _earlier(body: ResponseRequest, request: Request, tenant_id: str) -> list[Object]:
    if body.previous_response_id is None:
        return []
    return await asyncio.to_thread(_kept(request).history, tenant_id, body.previous_response_id)


def _shortened(body: ResponseRequest, chat: ChatRequest, llm: LLM) -> ChatRequest:
    return fitted(chat, llm) if body.truncation == "auto" else chat


def _prepared(body: ResponseRequest, chat: ChatRequest, salt: str, llm: LLM) -> list[Prepared]:
    return _shortened(body, chat, llm).prepare(llm, cache_salt=salt)


async def _whole(turn: Turn, job: Job) -> Response:
    return JSONResponse(await turn.whole(job))


def _events(turn: Turn, job: Job) -> Events:
    return _named(turn.told(job))


async def _whole_later(turn: Turn, job: Job) -> Response:
    """Begin it, and answer as soon as it is kept."""
    async with aclosing(_begun(turn, job)) as events:
        opening = await anext(events)
    return JSONResponse(opening["response"])


def _events_later(turn: Turn, job: Job) -> Events:
    return _named(_begun(turn, job))


def _begun(turn: Turn, job: Job) -> AsyncGenerator[Object]:
    record = turn.under_way.record(turn)
    job.desk.do(turn.in_background(job, record))
    return record.follow()


def _not_followed(kept: Kept) -> PunaError:
    """Say why there are no events of a response here, and what to do instead."""
    if kept.ended or kept.lost:
        return InvalidParameterError(
            "only a response that is made in the background, or was just now, can be streamed; "
            "retrieve it without stream"
        )
    return ConflictError(
        "another process of this server makes the response, and its events are there alone; "
        "retrieve it without stream until its status is neither queued nor in_progress"
    )


async def _named(events: AsyncGenerator[Object]) -> Events:
    async with aclosing(events):
        async for one in events:
            yield event(one, one["type"])
