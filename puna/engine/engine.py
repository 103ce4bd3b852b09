"""The engine: requests in, emissions out, one step at a time.

In: prompt ids and sampling parameters.  Out: token ids with their scores.
Knows no text, and of the network only that it turns a Batch into logits.
Not thread-safe: `loop` gives it one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.chat import FinishReason
from puna.engine.batch import BatchBuilder
from puna.engine.cache import KVCache
from puna.engine.logprobs import TokenScore, score
from puna.engine.model import Model
from puna.engine.request import Request, check_prompt
from puna.engine.scheduler import Chunk, Scheduler
from puna.engine.sequence import Emission, Sequence
from puna.engine.settings import EngineSettings
from puna.errors import ContextOverflowError, EngineError, NumericError, PunaError
from puna.kernels.batch import BLOCK_TOKENS

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an engine is: sequences, and blocks of its KV cache."""

    running: int
    waiting: int
    held_blocks: int
    blocks: int


class Engine:
    """Many requests over one model, batched anew at every step."""

    def __init__(
        self,
        model: Model,
        settings: EngineSettings | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings or EngineSettings()
        self._model = model
        self._clock = clock
        self._vocab_size = model.config.vocab_size
        self._max_outputs = self.settings.max_outputs(self._vocab_size)
        # A sequence may be as long as the context, and as the whole pool.
        self.context_tokens = min(model.context_tokens, model.kv_blocks * BLOCK_TOKENS)
        self._builder = BatchBuilder(self.settings, self.context_tokens, self._max_outputs)
        self._next_id = 0
        self._start_empty()

    def _start_empty(self) -> None:
        self.cache = KVCache(self._model.kv_blocks, self._model.copy_blocks)
        self.scheduler = Scheduler(self.cache, self.settings, self._max_outputs)
        self._live: dict[int, list[Sequence]] = {}  # each request's unfinished choices
        self._news: list[Emission] = []

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return self.scheduler.idle and not self._news

    def load(self) -> Load:
        """Return how busy the engine is; callable from any thread."""
        scheduler, cache = self.scheduler, self.cache
        return Load(scheduler.running, scheduler.waiting, cache.held, cache.blocks)

    def check(self, request: Request) -> None:
        """Raise what `submit` would raise; callable from any thread.

        ContextOverflowError where prompt and answer cannot fit, and
        InvalidParameterError for an empty prompt or an id out of vocabulary.
        """
        check_prompt(request.prompt_ids, self._vocab_size)
        request.params.check_vocabulary(self._vocab_size)
        prompt, wanted = len(request.prompt_ids), request.params.max_tokens
        if prompt + (1 if wanted is None else wanted) > self.context_tokens:
            raise ContextOverflowError(prompt, 1 if wanted is None else wanted, self.context_tokens)

    def submit(self, request: Request) -> int:
        """Queue a request and return its id; raises as `check` does."""
        self.check(request)
        request_id, self._next_id = self._next_id, self._next_id + 1
        room, now = self.context_tokens - len(request.prompt_ids), self._clock()
        choices = [
            Sequence(request_id, index, request, room, now) for index in range(request.params.n)
        ]
        self._live[request_id] = choices
        self.scheduler.add(choices[0])  # the others follow once its prompt can be shared
        return request_id

    def cancel(self, request_id: int, index: int | None = None) -> None:
        """End a request, or one choice of it, and free its blocks now; unknown ids are ignored."""
        for sequence in list(self._live.get(request_id, ())):
            if index is None or sequence.index == index:
                self._finish(sequence, "cancelled")

    def fail(self, error: PunaError) -> list[Emission]:
        """End everything with `error` and start from an empty cache, as after a broken step."""
        broken = [sequence for choices in self._live.values() for sequence in choices]
        news = [*self._news, *(self._failure(sequence, error) for sequence in broken)]
        self._start_empty()
        return news

    def step(self) -> list[Emission]:
        """Run one step and return what became known in it."""
        chunks = self.scheduler.plan()
        if chunks:
            self._note_started(chunks)
            batch = self._builder.build(chunks)
            logits = self._model.forward(batch)
            self._read_logits(chunks, logits)
        return self._take_news()

    def _take_news(self) -> list[Emission]:
        news, self._news = self._news, []
        return news

    def _note_started(self, chunks: Iterable[Chunk]) -> None:
        now = self._clock()
        for chunk in chunks:
            if chunk.sequence.clock.started is None:
                chunk.sequence.clock.started = now

    def _read_logits(self, chunks: Iterable[Chunk], logits: Logits) -> None:
        """Hand every chunk the rows that it asked for."""
        with np.errstate(invalid="ignore", over="ignore"):
            sums = logits.sum(axis=1).tolist()  # one pass finds every NaN and infinity
        row = 0
        for chunk in chunks:
            count = len(chunk.scored_rows) + chunk.samples
            rows = logits[row : row + count]
            if all(map(np.isfinite, sums[row : row + count])) or np.isfinite(rows).all():
                self._advance(chunk, rows)
            else:
                self._fail_numeric(chunk)
            row += count

    def _advance(self, chunk: Chunk, rows: Logits) -> None:
        """Publish what the chunk computed, score its prompt tokens, sample its next one."""
        sequence = chunk.sequence
        assert sequence.table is not None
        sequence.computed = chunk.stop
        self.cache.publish(sequence.table, sequence.tokens, sequence.computed)
        scores = self._score_prompt(chunk, rows)
        if sequence.completion_tokens == 0:
            self._report_prefill(chunk, scores)
        if chunk.samples:
            self._sample(sequence, rows[-1])

    def _score_prompt(self, chunk: Chunk, rows: Logits) -> tuple[TokenScore, ...]:
        alternatives = chunk.sequence.request.params.prompt_logprobs or 0
        positions = chunk.scored_rows
        scores = tuple(
            score(row, chunk.sequence.tokens[position + 1], alternatives)
            for position, row in zip(positions, rows, strict=False)
        )
        chunk.sequence.scored += len(scores)
        return scores

    def _report_prefill(self, chunk: Chunk, scores: tuple[TokenScore, ...]) -> None:
        sequence = chunk.sequence
        self._news.append(
            Emission(
                sequence.request_id,
                sequence.index,
                prompt_scores=scores,
                prefilled_tokens=chunk.stop,
            )
        )

    def _sample(self, sequence: Sequence, logits: Logits) -> None:
        if sequence.clock.prefilled is None:
            self._end_prefill(sequence)
        if sequence.request.params.max_tokens == 0:
            self._finish(sequence, "length")
            return
        try:
            token_id = sequence.sampler.sample(logits, sequence.completion_tokens)
            self._accept(sequence, token_id, logits)
        except PunaError as error:  # a grammar may fail in its own answer, not in others
            self._finish(sequence, "error", error=error)
        except Exception as error:
            failure = EngineError(f"choosing a token failed: {error!r}")
            failure.__cause__ = error
            self._finish(sequence, "error", error=failure)

    def _end_prefill(self, sequence: Sequence) -> None:
        """Let the request's other choices share the prompt that is now in the cache."""
        assert sequence.table is not None
        sequence.clock.prefilled = self._clock()
        if sequence.index == 0:
            self.cache.publish_tail(sequence.table, sequence.tokens, sequence.computed)
            self._release_followers(sequence)

    def _accept(self, sequence: Sequence, token_id: int, logits: Logits) -> None:
        """Make the token the choice's next, or its end."""
        if token_id in sequence.request.ending_ids:
            self._finish(sequence, "stop", stop_token_id=token_id)
            return
        sequence.append(token_id)
        reason = sequence.end_after(token_id)
        wanted = sequence.request.params.logprobs
        scored = None if wanted is None else score(logits, token_id, wanted)
        if reason is not None:
            self._finish(sequence, reason, token_id=token_id, scored=scored)
        else:
            self._news.append(Emission(sequence.request_id, sequence.index, token_id, scored))

    def _fail_numeric(self, chunk: Chunk) -> None:
        error = NumericError(
            f"the network gave NaN or infinity after {chunk.stop} tokens; "
            "the answer ends here. Other requests are not affected"
        )
        self._finish(chunk.sequence, "error", error=error, sound=False)

    def _finish(
        self,
        sequence: Sequence,
        reason: FinishReason,
        *,
        token_id: int | None = None,
        scored: TokenScore | None = None,
        stop_token_id: int | None = None,
        error: PunaError | None = None,
        sound: bool = True,
    ) -> None:
        """End one choice: blocks back to the pool, the reason into the news."""
        self.scheduler.remove(sequence, sound=sound)
        stats = sequence.stats(self._clock(), stop_tokens=stop_token_id is not None)
        self._news.append(
            Emission(
                sequence.request_id,
                sequence.index,
                token_id,
                scored,
                finish_reason=reason,
                stop_token_id=stop_token_id,
                error=error,
                stats=stats,
            )
        )
        self._release_followers(sequence)
        self._strike_off(sequence)

    def _release_followers(self, sequence: Sequence) -> None:
        """Queue the choices that waited for the first one's prompt."""
        if sequence.index == 0 and not sequence.followed:
            sequence.followed = True
            for follower in self._live[sequence.request_id][1:]:
                self.scheduler.add(follower)

    def _strike_off(self, sequence: Sequence) -> None:
        choices = self._live[sequence.request_id]
        choices.remove(sequence)
        if not choices:
            del self._live[sequence.request_id]

    def _failure(self, sequence: Sequence, error: PunaError) -> Emission:
        return Emission(
            sequence.request_id,
            sequence.index,
            finish_reason="error",
            error=error,
            stats=sequence.stats(self._clock()),
        )
