"""POST /v1/chat/completions: a dialog in, the assistant's turn out.

Reads as a request goes: admitted, begun, answered whole or as a stream, settled.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from puna.llm.asynchronous import worked
from puna.server import failures
from puna.server.auth import ChatCaller, Keyed
from puna.server.begun import Asked, answered
from puna.server.chat_answer import ChatChunks, ChatStyle, whole
from puna.server.chat_request import ChatRequest, Dialog
from puna.server.envelope import Envelope
from puna.server.job import Job
from puna.server.reference import STREAM, ChatCompletion, CountedTokens, answers
from puna.server.stream import DONE, Events, event

router = APIRouter(tags=["chat"], responses=failures.RESPONSES, route_class=Keyed)


@router.post("/v1/chat/completions", responses=answers(ChatCompletion, STREAM))
async def create_chat_completion(
    body: ChatRequest, request: Request, caller: ChatCaller
) -> Response:
    """Answer a dialog, whole or with `stream` as server-sent events.

    With `tools`, text is free until a call begins; from there on the tool's schema decides, of a
    `strict` tool whole or the request is refused, of another as far as it can be enforced. With
    `allowed_tools` the model hears of all tools and can call these alone. Calls are streamed as
    they are written. A call that `max_tokens` cuts ends with `length`, its arguments as far as
    they came. JSON under a schema and calls end by themselves: stop strings are looked for in
    text alone. An answer has at most 16 calls, one with `parallel_tool_calls` false, and a
    repeated call ends it.
    """
    asked = Asked(request, caller, body.model, partial(body.prepare, cache_salt=caller.tenant_id))
    return await answered(
        asked, whole=partial(_whole, body), events=partial(_events, body), stream=body.stream
    )


async def _whole(body: ChatRequest, job: Job) -> Response:
    async with job:
        reply = (await job.replies())[0]
    envelope = Envelope.new("chat.completion", "chatcmpl", body.model, job.llm)
    return JSONResponse(whole(envelope, _style(body, job), reply))


async def _events(body: ChatRequest, job: Job) -> Events:
    envelope = Envelope.new("chat.completion.chunk", "chatcmpl", body.model, job.llm)
    chunks = ChatChunks(envelope, _style(body, job))
    last = b""
    async with job:
        yield b"".join(event(chunks.opening(index)) for index in range(body.n or 1))
        async for _, batch in job.batches():
            yield b"".join(event(chunk) for delta in batch for chunk in chunks.of(delta))
            if body.includes_usage and batch[-1].usage is not None:
                last = event(chunks.usage(batch[-1]))
    yield last + DONE


def _style(body: ChatRequest, job: Job) -> ChatStyle:
    return ChatStyle(
        job.llm.tokenizer,
        logprobs=bool(body.logprobs),
        named_tool=body.names_tool,
        usage=body.includes_usage,
    )


@router.post(
    "/v1/chat/completions/input_tokens",
    tags=["tokens"],
    response_model=None,
    responses=answers(CountedTokens),
)
async def count_chat_tokens(body: Dialog, request: Request, caller: ChatCaller) -> dict[str, Any]:
    """Say how many tokens a dialog takes as a prompt; nothing is charged."""
    async with request.app.state.desk.texts.lend(caller, body.model) as llm:
        count = await worked(partial(body.count, llm))
    return {"object": "response.input_tokens", "input_tokens": count}
