"""One choice of one request on its way through the engine, and what it reports.

In: the request and, step by step, tokens.  Out: emissions.  Knows no text and
no other sequence.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from puna.engine.cache import BlockTable
from puna.engine.logprobs import TokenScore
from puna.engine.pooling import Pool
from puna.engine.repetition import LOOKED_FOR_EVERY, is_repetition
from puna.engine.request import Request
from puna.engine.sampler import Sampler
from puna.errors import PunaError
from puna.kernels.burst import first_habits

if TYPE_CHECKING:
    from puna.chat import FinishReason

Order = tuple[int, int]  # request, choice


@dataclass(frozen=True, slots=True)
class SequenceStats:
    """What one choice took: tokens counted where they are sampled, and seconds."""

    prompt_tokens: int
    cached_tokens: int  # prompt tokens found in the KV cache when the choice first ran
    completion_tokens: int  # with the stop token, where there was one
    queued_s: float
    prefill_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Emission:
    """News of one choice: progress, prompt scores, a token, the end, or several of these.

    A stop token ends a choice without being a token of it: `token_id` is None
    then and `stop_token_id` names it.  `error` comes with finish reason "error".
    """

    request_id: int
    index: int
    token_id: int | None = None
    score: TokenScore | None = None  # where logprobs were asked for
    prompt_scores: tuple[TokenScore, ...] = ()  # of the prompt's tokens from the second on, in turn
    prefilled_tokens: int | None = None  # of the prompt, when a part of it is done
    finish_reason: FinishReason | None = None
    stop_token_id: int | None = None
    error: PunaError | None = None
    stats: SequenceStats | None = None  # with the finish reason
    embedding: NDArray[np.float32] | None = None  # (hidden,) likewise, where one was asked for


@dataclass(slots=True)
class Clock:
    """When a choice was submitted, first ran, had its whole prompt done, and ended (seconds)."""

    submitted: float
    started: float | None = None
    prefilled: float | None = None

    def spans(self, now: float) -> tuple[float, float, float]:
        """Return the seconds queued, in prefill and in decode, up to `now`."""
        started = now if self.started is None else self.started
        prefilled = now if self.prefilled is None else self.prefilled
        return started - self.submitted, prefilled - started, now - prefilled


class Sequence:
    """A choice's tokens, its hold on the KV cache, and how it picks what comes next."""

    def __init__(
        self, request_id: int, index: int, request: Request, room_tokens: int, now: float
    ) -> None:
        self.request_id = request_id
        self.index = index
        self.request = request
        self.tokens = array("i", request.prompt_ids)  # prompt, then answer
        self.table: BlockTable | None = None  # None while it waits
        self.computed = 0  # tokens whose keys and values are in the cache
        self.scored = 1  # prompt tokens whose logprob is out; the first has none
        self.cached_tokens: int | None = None
        self.charged_tokens = 0  # tokens that its tenant's share has paid for
        self.clock = Clock(now)
        self.followed = False  # the request's other choices were let into the line
        mask = None if request.mask is None else request.mask.fork()
        self.sampler = Sampler(request.params, request.prompt_ids, index, mask)
        self.pool = request.pooling and Pool(request.pooling, len(request.prompt_ids))
        self.habits = first_habits()  # how often guesses at its tokens came true
        self.ending_ids = request.ending_ids
        self.plain = not self.sampler.adjusts and request.params.logprobs is None
        self._stop_check = None if request.stop_check is None else request.stop_check.fresh()
        self._most_tokens = (
            room_tokens if request.params.max_tokens is None else (request.params.max_tokens)
        )

    @property
    def order(self) -> Order:
        """First come, first served: lower runs first and is preempted last."""
        return self.request_id, self.index

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return len(self.request.prompt_ids)

    @property
    def completion_tokens(self) -> int:
        """Tokens sampled so far."""
        return len(self.tokens) - self.prompt_tokens

    @property
    def left_tokens(self) -> int:
        """Tokens that the answer may still have."""
        left, allowance = self._most_tokens - self.completion_tokens, self.request.allowance
        return left if allowance is None else min(left, allowance.left(self.completion_tokens))

    @property
    def paused(self) -> bool:
        """Whether it has said all that it may by now; it can be granted more."""
        return self.request.allowance is not None and self.left_tokens <= 0

    @property
    def exhausted(self) -> bool:
        """Whether it has said all that it may, and nothing more is on its way."""
        allowance = self.request.allowance
        # Asked first: what is granted between the two questions must not look like the end.
        waits = allowance is not None and allowance.waits()
        within = self.completion_tokens < self._most_tokens
        return self.left_tokens <= 0 and not (waits and within)

    @property
    def pending(self) -> int:
        """Tokens still to be computed before the next can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def decoding(self) -> bool:
        """Whether one row is all that stands between this sequence and its next token."""
        return self.pending == 1 and self.completion_tokens > 0

    @property
    def wants_scores(self) -> bool:
        """Whether prompt logprobs are still due."""
        wanted = self.request.params.prompt_logprobs is not None and self.index == 0
        return wanted and self.scored < self.prompt_tokens

    @property
    def reuse_tokens(self) -> int:
        """Most tokens that may come from the cache: some rows' logits are still needed."""
        if self.pool:
            return self.pool.taken
        return self.scored - 1 if self.wants_scores else len(self.tokens) - 1

    def append(self, token_id: int) -> None:
        """Make a sampled token part of the answer."""
        self.tokens.append(token_id)
        self.sampler.accept(token_id)

    def end_after(self, token_id: int) -> FinishReason | None:
        """Say why the answer ends with the token just appended, if it does."""
        if self._stop_check is not None and self._stop_check.push(token_id):
            return "stop"
        if self.sampler.finished:
            return "stop"
        if self.exhausted:
            return "length"
        return "repetition" if self._repeats() else None

    def _repeats(self) -> bool:
        """Whether it says one passage over and over; looked for now and then."""
        limit = self.request.params.repetition_limit
        if limit is None:
            return False
        said = self.completion_tokens
        due = said >= limit and said % LOOKED_FOR_EVERY == 0
        return due and is_repetition(self.tokens[-limit:])

    def stats(self, now: float, stop_tokens: int = 0) -> SequenceStats:
        """Return what the choice took up to `now`."""
        completion = self.completion_tokens + stop_tokens
        return SequenceStats(
            self.prompt_tokens, self.cached_tokens or 0, completion, *self.clock.spans(now)
        )
