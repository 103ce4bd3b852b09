"""POST /v1/completions: raw text or token ids in, what follows out.

Keeps to what evaluation harnesses rely on: batches, token ids, and with `echo`
the log-probabilities of the prompt's own tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from puna.chat import Delta, Usage
from puna.server import failures
from puna.server.auth import ChatCaller, Keyed
from puna.server.begun import Asked, answered
from puna.server.completion_answer import CompletionStyle, LogprobsObject
from puna.server.completion_request import CompletionRequest
from puna.server.envelope import Envelope
from puna.server.job import Job
from puna.server.reference import STREAM, TextCompletion, answers
from puna.server.stream import DONE, Events, event
from puna.server.usage import timings_object, usage_object

router = APIRouter(tags=["completions"], responses=failures.RESPONSES, route_class=Keyed)


@router.post("/v1/completions", responses=answers(TextCompletion, STREAM))
async def create_completion(
    body: CompletionRequest, request: Request, caller: ChatCaller
) -> Response:
    """Continue one text or several, whole or with `stream` as server-sent events."""
    asked = Asked(request, caller, body.model, partial(body.prepare, cache_salt=caller.tenant_id))
    return await answered(
        asked, whole=partial(_whole, body), events=partial(_events, body), stream=body.stream
    )


async def _whole(body: CompletionRequest, job: Job) -> Response:
    async with job:
        replies = await job.replies()
    style = _style(body, job)
    choices = [
        choice for number, reply in enumerate(replies) for choice in style.choices(number, reply)
    ]
    envelope = Envelope.new("text_completion", "cmpl", body.model, job.llm)
    usage = usage_object(job.usage)
    timings = timings_object(job.usage, job.timings)
    return JSONResponse(envelope.around(choices, usage=usage, timings=timings))


async def _events(body: CompletionRequest, job: Job) -> Events:
    chunks = _Chunks(body, job)
    async with job:
        async for number, batch in job.batches():
            if said := b"".join(event(c) for delta in batch for c in chunks.of(number, delta)):
                yield said
    yield (event(chunks.usage(job.usage)) if body.includes_usage else b"") + DONE


class _Chunks:
    """A completion's chunks, in turn."""

    def __init__(self, body: CompletionRequest, job: Job) -> None:
        self._envelope = Envelope.new("text_completion", "cmpl", body.model, job.llm)
        self._style = _style(body, job)
        self._body = body
        self._begun: dict[tuple[int, int], LogprobsObject | None] = {}
        self._scores: dict[int, list[Any]] = {}

    def of(self, number: int, delta: Delta) -> Iterator[dict[str, Any]]:
        """Yield what a delta of a prompt's answer adds, after the prompt where it is echoed."""
        scores = self._scores.setdefault(number, [])
        scores.extend(delta.prompt_logprobs)
        if not (delta.text or delta.logprobs or delta.finish_reason):
            return
        choice = (number, delta.index)
        if choice not in self._begun:
            self._begun[choice] = logprobs = self._style.logprobs()
            if self._body.echo:
                yield self._around(self._style.echo(number, delta.index, scores, logprobs))
        yield self._around(self._style.chunk(number, delta, self._begun[choice]))

    def usage(self, usage: Usage) -> dict[str, Any]:
        """The chunk of usage, for whoever asked for it."""
        return self._envelope.around([], usage=usage_object(usage))

    def _around(self, choice: dict[str, Any]) -> dict[str, Any]:
        more = {"usage": None} if self._body.includes_usage else {}
        return self._envelope.around([choice], **more)


def _style(body: CompletionRequest, job: Job) -> CompletionStyle:
    prompts = [talk.prepared.request.prompt_ids for talk in job.talks]
    return CompletionStyle(body, job.llm, prompts)
