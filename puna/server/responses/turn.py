"""One turn of /v1/responses, from its admitted job to the kept response.

In: a request, a draft, a job.  Out: the response, whole or event by event; it is kept
for its tenant unless that is not wanted.  Knows no transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from puna.server.chat_answer import ChatStyle
from puna.server.failures import failure_of
from puna.server.job import Job
from puna.server.record import Record
from puna.server.responses.answer import Draft
from puna.server.responses.items import Object
from puna.server.responses.request import ResponseRequest
from puna.server.responses.under_way import ResponseCancelledError, UnderWay
from puna.services.responses import Kept, Responses


@dataclass(frozen=True)
class Turn:
    """One response; `under_way` is what all of the server's tenants have."""

    body: ResponseRequest
    draft: Draft
    tenant_id: str
    kept: Responses
    under_way: UnderWay

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return self.tenant_id, self.draft.id

    async def whole(self, job: Job) -> Object:
        """Return the response once it has ended; raises what went wrong."""
        with self.under_way.noting(self, job):
            async with aclosing(self._events(job)) as events:
                async for _ in events:
                    pass
        return self.draft.response

    async def told(self, job: Job) -> AsyncGenerator[Object]:
        """Yield the events up to the end; what goes wrong is told by the last of them."""
        with self.under_way.noting(self, job):
            try:
                async with aclosing(self._events(job)) as events:
                    async for one in events:
                        yield one
            except Exception as error:
                failure = failure_of(error)
                code = failure.code or "server_error"
                for one in self.draft.fail(job.usage, code, failure.message):
                    yield one
                await self._keep()
                yield self.draft.closing()

    async def in_background(self, job: Job, record: Record[Object]) -> None:
        """Make it for whoever follows the record; what cannot be kept is not begun."""
        try:
            async with job:
                await self._keep_begun()
                async with aclosing(self.told(job)) as events:
                    async for one in events:
                        record.add(one)
        except Exception as error:
            record.end(error)
        else:
            record.end()

    async def _events(self, job: Job) -> AsyncGenerator[Object]:
        self._note_defaults(job)
        draft = self.draft
        async with job:
            for one in draft.opening():
                yield one
            try:
                async with aclosing(self._said(job)) as said:
                    async for one in said:
                        yield one
            except ResponseCancelledError:
                await job.close("disconnect")
                for one in draft.end(job.usage, "cancelled"):
                    yield one
        if draft.response["status"] == "in_progress":
            for one in draft.end(job.usage):
                yield one
        await self._keep()
        yield draft.closing()

    async def _said(self, job: Job) -> AsyncGenerator[Object]:
        style = ChatStyle(job.llm.tokenizer, logprobs=self.body.wants_logprobs)
        async for _, batch in job.batches():
            for delta in batch:
                scores = style.logprobs_object(delta.logprobs) or {"content": []}
                for one in self.draft.read(delta, scores["content"]):
                    yield one

    async def _keep_begun(self) -> None:
        begun = Kept(self.body.items, self.draft.response, ended=False)
        await asyncio.to_thread(self.kept.keep, self.tenant_id, begun)

    async def _keep(self) -> None:
        """Keep it for later turns, if it is to be kept."""
        if self.body.store is False:
            return
        keep = self.kept.finish if self.body.background else self.kept.keep
        await asyncio.to_thread(keep, self.tenant_id, Kept(self.body.items, self.draft.response))

    def _note_defaults(self, job: Job) -> None:
        for name in ("temperature", "top_p"):
            said = getattr(self.body, name)
            self.draft.response[name] = (
                job.llm.language.defaults.get(name, 1.0) if said is None else said
            )
