"""Where requests are admitted, kept alive and settled.

In: a caller, a model's name, work on text.  Out: jobs, each with its answers
begun and its estimate reserved.  Knows neither HTTP nor OpenAI's shapes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

from puna.accounts import Admission, Caller, Ledger, Outcome
from puna.chat import Usage
from puna.errors import (
    ConflictError,
    CreditError,
    LimitError,
    PunaError,
    QuotaError,
    ShutdownError,
    StoreError,
)
from puna.llm import LLM
from puna.llm.asynchronous import Talk, worked
from puna.llm.models import Models
from puna.llm.prepared import Prepared
from puna.server.allowance import Allowance
from puna.server.counts import Counts
from puna.server.gate import Gate
from puna.server.job import Job
from puna.server.remainder import remainder, shorten
from puna.server.rounds import repeated
from puna.server.settings import ServerSettings
from puna.server.tally import Tally
from puna.server.texts import Texts

log = logging.getLogger(__name__)

Preparing = Callable[[LLM], Sequence[Prepared]]
SETTLING_TRIES = 5  # once the server ends; before that, as many as it takes
LONGEST_PAUSE_S = 8  # between two of them
LAST_WORDS_S = 1.0  # for clients to read that their answers end
OVER = "the server is shutting down; the answer ends here"


class Desk:
    """One server's requests under way."""

    def __init__(self, models: Models, ledger: Ledger, settings: ServerSettings) -> None:
        self.models, self.ledger, self.settings = models, ledger, settings
        self.tally = Tally()
        self.gate = Gate(settings.most_requests)
        self.texts = Texts(models, self.gate)
        self.counts = Counts(self.gate.places, settings.counts_folder)
        self.known: WeakValueDictionary[str, LLM] = WeakValueDictionary()  # that have answered
        self._loop = asyncio.get_running_loop()
        self._hurry = asyncio.Event()
        self._sweep_at = 0.0
        self._over = False  # what is still under way is being ended
        self._jobs: set[Job] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def begin(
        self, caller: Caller, model: str, preparing: Preparing, claim: str | None = None
    ) -> Job:
        """Admit a request and begin its answers; whoever gets the job must leave it again.

        Raises whatever stands in the way; then nothing is held or reserved any more.
        """
        self.gate.enter(caller.tenant_id)
        place = AsyncExitStack()
        place.callback(self.gate.leave, caller.tenant_id)
        try:
            await self.check(caller, model)
            llm = self.known[model] = await place.enter_async_context(
                self.models.lease_async(model)
            )
            prepared = [in_turn(one, caller) for one in await worked(partial(preparing, llm))]
            for one in prepared:
                llm.check(one)
            room, step = llm.context_tokens, self.settings.unstated_tokens
            prepared = [allowed(one, room, step) for one in prepared]
            admission = await self._admitted(caller, model, prepared, room, claim)
            self._watch(prepared, caller, admission)
            return await self._job(llm, prepared, admission, place)
        except BaseException:
            self.do(place.aclose())
            raise

    async def check(self, caller: Caller, model: str) -> None:
        """Raise what stands in a caller's way before a model is asked for; counts nothing.

        Where it may have to be loaded, and others to go for it, the ledger is asked as well.
        """
        if model in self.known:
            caller.plan.check_model(model)
        else:
            await asyncio.to_thread(self.ledger.check, caller, model)

    async def settle(self, admission: Admission, usage: Usage, outcome: Outcome) -> None:
        """Charge what the engine counted; tries again for as long as the database refuses.

        Where the server ends meanwhile, the next start settles it to what was last written.
        """
        for attempt in count(1):
            try:
                await asyncio.to_thread(self.ledger.settle, admission, usage, outcome)
            except StoreError as error:
                log.warning("a request could not be settled, attempt %d: %s", attempt, error)
                if self._over and attempt >= SETTLING_TRIES:
                    return
                await asyncio.sleep(min(2 ** (attempt - 1), LONGEST_PAUSE_S))
            else:
                return

    def do(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something to its end, whatever becomes of the request that asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def keep_books(self) -> None:
        """Renew the leases of jobs under way, and settle those of processes that are gone."""
        await repeated("keeping the books", self._round, self.settings.renew_s, self.tally)

    async def _round(self) -> None:
        """Renew first: without that, answers under way would count as crashed."""
        await self._renew()
        if self._loop.time() >= self._sweep_at:
            await asyncio.to_thread(self._settle_crashed)
            self._sweep_at = self._loop.time() + self.settings.sweep_s

    async def drain(self) -> None:
        """Let nobody in, wait for answers under way, then end the rest and settle them."""
        self.gate.close()
        if not await self.gate.empty(self.settings.drain_s, self._hurry):
            self._interrupt()
            await self.gate.empty(LAST_WORDS_S)
        self._over = True  # whoever left while being admitted holds no place, but is settled, too
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Let the books go; every request is settled."""
        self.counts.close()

    def hurry(self) -> None:
        """Cut the draining short; callable from a signal's handler."""
        self._loop.call_soon_threadsafe(self._hurry.set)

    def _interrupt(self) -> None:
        self._over = True
        for job in list(self._jobs):
            job.interrupt(ShutdownError(OVER))

    async def _admitted(
        self, caller: Caller, model: str, prepared: Sequence[Prepared], room: int, claim: str | None
    ) -> Admission:
        """Reserve; where the plan has less than that, as much as is left for shorter answers."""

        def admit() -> Admission:
            return self.ledger.admit(caller, model, estimate(prepared, room), claim)

        try:
            return await self._admit(admit)
        except (QuotaError, CreditError):
            standing = await asyncio.to_thread(self.ledger.standing, caller)
            prompt_tokens = sum(one.prompt_tokens for one in prepared)
            if not shorten(prepared, remainder(standing, caller.plan.price(model), prompt_tokens)):
                raise
            return await self._admit(admit)

    async def _admit(self, admit: Callable[[], Admission]) -> Admission:
        """Reserve; where the client goes meanwhile, the reservation is given back."""
        admitting = self.do(asyncio.to_thread(admit))
        try:
            return await asyncio.shield(admitting)
        except asyncio.CancelledError:
            self.do(self._give_back(admitting))
            raise

    async def _give_back(self, admitting: asyncio.Task[Admission]) -> None:
        with suppress(PunaError):
            await self.settle(await admitting, Usage(), "disconnect")

    def _watch(self, prepared: Sequence[Prepared], caller: Caller, admission: Admission) -> None:
        """Reserve more for answers of unstated length before they have used up what they have."""
        for one in prepared:
            if isinstance(allowance := one.request.allowance, Allowance):
                allowance.ask_by(partial(self._begin_extending, allowance, caller, admission))

    def _begin_extending(self, allowance: Allowance, caller: Caller, admission: Admission) -> None:
        self.do(self._extend(allowance, caller, admission))

    async def _extend(self, allowance: Allowance, caller: Caller, admission: Admission) -> None:
        """Where nothing more is to be had, the answer ends at what it has, as too long."""
        tokens = allowance.next_tokens * allowance.choices
        try:
            await asyncio.to_thread(self.ledger.extend, caller, admission, tokens)
        except (LimitError, ConflictError):  # used up, or the request has just ended
            allowance.shrink()
        except StoreError as error:
            log.warning("nothing more could be reserved for an answer: %s", error)
            allowance.shrink()
        except BaseException:
            allowance.shrink()  # an answer that is never told would pause for ever
            raise
        else:
            allowance.grow()

    async def _job(
        self, llm: LLM, prepared: Sequence[Prepared], admission: Admission, place: AsyncExitStack
    ) -> Job:
        talks: list[Talk] = []
        job = Job(self, llm, talks, admission, place)
        try:
            talks.extend(Talk(llm, one) for one in prepared)
        except BaseException:
            self.do(job.close("error"))
            raise
        self._jobs.add(job)
        if self._over:  # it was still being admitted when the others were ended
            job.interrupt(ShutdownError(OVER))
        return job

    def forget(self, job: Job) -> None:
        """Stop renewing a job's lease."""
        self._jobs.discard(job)
        self.counts.forget(job.admission.id)

    def made(self) -> int:
        """Return how many tokens all answers have had since the start."""
        under_way = sum(job.usage.completion_tokens for job in list(self._jobs))
        return self.tally.made + under_way

    def counted(self) -> dict[str, Usage]:
        """Return what the engine has counted of each request under way, by admission id."""
        return {job.admission.id: job.usage for job in list(self._jobs)}

    async def _renew(self) -> None:
        counted = self.counted()
        for admission_id, usage in counted.items():
            self.counts.note(admission_id, usage)
        if counted:
            await asyncio.to_thread(self.ledger.renew, counted)

    def _settle_crashed(self) -> None:
        """Tell the ledger what killed processes had counted to the last, then have it settle."""
        for counted in self.counts.left_behind():
            self.ledger.renew(counted)
        self.ledger.release_stale()


def in_turn(prepared: Prepared, caller: Caller) -> Prepared:
    """Have the engine serve tenants in turn, and whose plan has a higher priority first."""
    request = replace(prepared.request, tenant=caller.tenant_id, priority=caller.plan.priority)
    return replace(prepared, request=request)


def allowed(prepared: Prepared, context_tokens: int, step: int) -> Prepared:
    """Where the client states no length, allow the answer so many tokens at first."""
    request, choices = prepared.request, prepared.request.params.n
    if request.params.max_tokens is not None or request.pooling is not None:
        return prepared
    most = prepared.most_tokens(context_tokens) // choices
    return replace(prepared, request=replace(request, allowance=Allowance(step, most, choices)))


def estimate(prepared: Sequence[Prepared], context_tokens: int) -> Usage:
    """Return what requests may take at most, as far as they may go at first."""
    return Usage(
        sum(one.prompt_tokens for one in prepared),
        sum(_answer_tokens(one, context_tokens) for one in prepared),
    )


def _answer_tokens(prepared: Prepared, context_tokens: int) -> int:
    if prepared.request.pooling is not None:
        return 0
    allowance = prepared.request.allowance
    if isinstance(allowance, Allowance):
        return allowance.tokens * allowance.choices
    return prepared.most_tokens(context_tokens)
