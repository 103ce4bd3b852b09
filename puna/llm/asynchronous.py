"""An answer for an event loop, without a thread for each request.

In: an open LLM and a prepared request.  Out: its deltas, awaited.  The engine's
thread wakes the event loop once for all that a step said.  Knows no transport.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar
from weakref import WeakKeyDictionary

from puna.chat import Delta, Timings, Usage
from puna.engine import Emission
from puna.errors import PunaError
from puna.llm.llm import LLM
from puna.llm.prepared import Prepared

LAST_WORD_S = 10.0  # a cancelled choice ends with the step that is being computed

Result = TypeVar("Result")

# Templates, tokenizers and grammars are worked here: they would hold up every stream.
_WORKERS = ThreadPoolExecutor(2, "puna-text")


async def worked(work: Callable[[], Result]) -> Result:
    """Do heavy work on text beside the event loop, two at a time."""
    return await asyncio.get_running_loop().run_in_executor(_WORKERS, work)


async def deltas(llm: LLM, prepared: Prepared) -> AsyncIterator[Delta]:
    """Yield an answer as it is made; closing this ends the request."""
    talk = Talk(llm, prepared)
    try:
        async for batch in talk:
            for delta in batch:
                yield delta
    finally:
        await talk.close()


class _Bell:
    """Wakes one event loop, once for all that is put into its boxes meanwhile."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._filled: deque[_Box] = deque()
        self._rung = False

    def ring(self, box: _Box) -> None:
        """Announce a box; called by the engine's thread."""
        self._filled.append(box)
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the event loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False  # before looking: what comes from here on rings again
        while self._filled:
            self._filled.popleft().news.set()


_BELLS: WeakKeyDictionary[AbstractEventLoop, _Bell] = WeakKeyDictionary()


class _Box:
    """Where the engine's thread leaves one request's emissions."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._bell = _BELLS.setdefault(loop, _Bell(loop))
        self._emissions: deque[Emission] = deque()
        self.news = asyncio.Event()

    def put(self, emission: Emission, /) -> None:
        self._emissions.append(emission)
        self._bell.ring(self)

    def empty(self) -> list[Emission]:
        """Return what came since the last time."""
        self.news.clear()
        return [self._emissions.popleft() for _ in range(len(self._emissions))]


class Talk:
    """One answer: iterate over batches of deltas, then close it.

    Raises at once what `LLM.begin` raises, and while it is iterated over any
    PunaError that ends the answer.
    """

    def __init__(self, llm: LLM, prepared: Prepared) -> None:
        self.prepared = prepared
        self._box = _Box()
        self._transcript = prepared.transcript()
        self._interruption: PunaError | None = None
        self._ticket = llm.begin(prepared, self._box)

    @property
    def usage(self) -> Usage:
        """What the engine has counted up to now."""
        return self._transcript.usage

    @property
    def timings(self) -> Timings:
        """Where the time went, once every choice has ended."""
        return self._transcript.timings

    async def __aiter__(self) -> AsyncIterator[list[Delta]]:
        """Yield what was said since the last time, until every choice has ended."""
        while self._transcript.unfinished and self._interruption is None:
            await self._box.news.wait()
            if self._interruption is None and (batch := self._read()):
                yield batch
        if self._interruption is not None:
            raise self._interruption

    def interrupt(self, error: PunaError) -> None:
        """End the answer for its reader with `error`; close it afterwards as always."""
        self._interruption = error
        self._box.news.set()

    async def close(self) -> Usage:
        """End what still runs and return what the engine counted in all."""
        for index in self._transcript.unfinished:
            self._ticket.cancel(index)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._last_words(), LAST_WORD_S)
        self._ticket.close()
        return self._transcript.usage

    def _read(self) -> list[Delta]:
        """Return the deltas of what has come; an error in the midst is raised after the rest."""
        emissions = self._box.empty()
        batch: list[Delta] = []
        for place, emission in enumerate(emissions):
            try:
                batch.extend(self._transcript.read(emission))
            except PunaError as error:
                self._count(emissions[place + 1 :])
                self._interruption = error
                break
        return batch

    async def _last_words(self) -> None:
        while True:
            self._count(self._box.empty())
            if not self._transcript.unfinished:
                return
            await self._box.news.wait()

    def _count(self, emissions: list[Emission]) -> None:
        for emission in emissions:
            self._transcript.count(emission)
