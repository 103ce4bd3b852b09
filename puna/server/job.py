"""One billable request, from its admission to its settlement.

In: answers that have begun, and what was reserved for them.  Out: the same,
ended and charged however the request ends.  Knows no shapes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from puna.accounts import Admission, Outcome
from puna.chat import Delta, Reply, Timings, Usage
from puna.errors import PunaError, ShutdownError
from puna.llm import LLM
from puna.llm.asynchronous import Talk
from puna.llm.reply import joined
from puna.server.allowance import Allowance

if TYPE_CHECKING:
    from puna.server.desk import Desk


class Job:
    """A request under way; leaving it settles it, and tells how it ended by the exception."""

    def __init__(
        self, desk: Desk, llm: LLM, talks: list[Talk], admission: Admission, place: AsyncExitStack
    ) -> None:
        self.llm, self.talks, self.admission = llm, talks, admission
        self.desk, self._place = desk, place
        self._closing: asyncio.Task[None] | None = None

    @property
    def usage(self) -> Usage:
        """What the engine has counted up to now, for all answers."""
        return sum((talk.usage for talk in self.talks), Usage())

    @property
    def timings(self) -> Timings:
        """Where the time of the answer that took longest went."""
        return max((talk.timings for talk in self.talks), key=_spent_s, default=Timings())

    @property
    def plan_ended(self) -> bool:
        """Whether an answer could have gone on if there were more of what it is paid from."""
        allowances = [talk.prepared.request.allowance for talk in self.talks]
        return any(isinstance(one, Allowance) and one.plan_ended for one in allowances)

    async def batches(self) -> AsyncIterator[tuple[int, list[Delta]]]:
        """Yield each answer's number with what it said since the last time, one after the other.

        What is handed out here is noted before: it is charged, should the process be killed.
        """
        told = Usage()
        for number, talk in enumerate(self.talks):
            async for batch in talk:
                self.desk.counts.note(self.admission.id, told + talk.usage)
                yield number, batch
            told += talk.usage

    async def replies(self) -> list[Reply]:
        """Return every answer whole."""
        said: list[list[Delta]] = [[] for _ in self.talks]
        async for number, batch in self.batches():
            said[number] += batch
        return [joined(deltas) for deltas in said]

    def interrupt(self, error: PunaError) -> None:
        """End every answer for its reader with `error`."""
        for talk in self.talks:
            talk.interrupt(error)

    async def close(self, outcome: Outcome) -> None:
        """End, settle, and give the place back; a second call waits for the first."""
        if self._closing is None:
            self._closing = self.desk.do(self._close(outcome))
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close(_outcome(kind))

    async def _close(self, outcome: Outcome) -> None:
        try:
            for talk in self.talks:
                await talk.close()
            await self.desk.settle(self.admission, self.usage, outcome)
            self.desk.tally.count(self.usage, self.timings, outcome)
        finally:
            self.desk.forget(self)
            await self._place.aclose()


def _spent_s(timings: Timings) -> float:
    return timings.queued_s + timings.prefill_s + timings.decode_s


def _outcome(kind: type[BaseException] | None) -> Outcome:
    if kind is None:
        return "success"
    if issubclass(kind, ShutdownError):
        return "shutdown"
    return "disconnect" if issubclass(kind, asyncio.CancelledError | GeneratorExit) else "error"
