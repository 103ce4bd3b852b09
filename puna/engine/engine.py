"""The engine: requests in, emissions out, one step at a time.

In: prompt ids and sampling parameters.  Out: token ids with their scores.
Knows no text, and of the network only that it turns a Batch into logits.
Not thread-safe: `loop` gives it one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Several
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from puna.engine.batch import BatchBuilder
from puna.engine.burst import Bursts
from puna.engine.cache import KVCache
from puna.engine.load import Load
from puna.engine.logprobs import score
from puna.engine.model import Model
from puna.engine.news import News
from puna.engine.picking import Logits, adjusted_token, pick_tokens, prompt_scores
from puna.engine.request import Request, check_prompt
from puna.engine.scheduler import Chunk, Scheduler
from puna.engine.sequence import Emission, Sequence
from puna.engine.settings import EngineSettings
from puna.errors import ContextOverflowError, EngineError, NumericError, PunaError
from puna.kernels.batch import BLOCK_TOKENS
from puna.kernels.burst import Runner
from puna.kernels.sampling import NOT_FINITE

if TYPE_CHECKING:
    from puna.chat import FinishReason

Hidden = NDArray[np.float32]


class Engine:
    """Many requests over one model, batched anew at every step."""

    def __init__(
        self,
        model: Model,
        settings: EngineSettings | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Raises SettingError where the settings ask for larger steps than the model takes."""
        self.settings = settings or EngineSettings()
        self.settings.check(model.max_batch_tokens)
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
        self._bursts = Bursts(self._model, self.cache, self.settings)
        self._live: dict[int, list[Sequence]] = {}  # each request's unfinished choices
        self._news = News(self._clock)
        self.resting = False  # all that is left waits for leave to say more

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return self.scheduler.idle and not self._news

    def load(self) -> Load:
        """Return how busy the engine is; callable from any thread."""
        scheduler, cache, bursts = self.scheduler, self.cache, self._bursts
        return Load(
            scheduler.running,
            scheduler.waiting,
            cache.held,
            cache.blocks,
            bursts.drafted_tokens,
            bursts.accepted_tokens,
        )

    def check(self, request: Request) -> None:
        """Raise what `submit` would raise; callable from any thread.

        ContextOverflowError where prompt and answer cannot fit, and
        InvalidParameterError for an empty prompt or an id out of vocabulary.
        """
        check_prompt(request.prompt_ids, self._vocab_size)
        request.params.check_vocabulary(self._vocab_size)
        prompt, wanted = len(request.prompt_ids), request.wanted_tokens
        if prompt + wanted > self.context_tokens:
            raise ContextOverflowError(prompt, wanted, self.context_tokens)

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
        for sequence in broken:
            self._news.ended(sequence, "error", error=error)
        news = self._news.take()
        self._start_empty()
        return news

    def step(self) -> list[Emission]:
        """Run one step, or several where nothing but plain decoding is left; return the news."""
        chunks = self.scheduler.plan()
        self._end_exhausted()
        self.resting = not chunks and not self.scheduler.idle
        if chunks:
            self._note_started(chunks)
            if self._bursts.takes(chunks):
                self._decode(chunks)
            else:
                self._embed([chunk for chunk in chunks if chunk.sequence.pool])
                self._forward([chunk for chunk in chunks if not chunk.sequence.pool])
        return self._news.take()

    def _end_exhausted(self) -> None:
        """End answers that waited for leave to say more, and are not to have it."""
        for sequence in self.scheduler.paused:
            if sequence.exhausted:
                self._finish(sequence, "length")

    def _note_started(self, chunks: Iterable[Chunk]) -> None:
        now = self._clock()
        for chunk in chunks:
            if chunk.sequence.clock.started is None:
                chunk.sequence.clock.started = now

    def _decode(self, chunks: Several[Chunk]) -> None:
        """Let every sequence say several tokens."""
        others = self.scheduler.running + self.scheduler.waiting - len(chunks)
        runners = self._bursts.run(chunks, awaited=others > 0)
        for chunk, runner in zip(chunks, runners, strict=True):
            self._hear(chunk.sequence, runner)

    def _hear(self, sequence: Sequence, runner: Runner) -> None:
        """Take in what was said in a burst, up to an end that only the text may show."""
        with self._own_failure(sequence):
            for token_id in runner.said:
                sequence.computed = len(sequence.tokens)
                self._accept(sequence, token_id)
                if sequence.table is None:
                    return
        if sequence.table is None:
            return
        if runner.ending is not None:
            sequence.computed = len(sequence.tokens)
        if runner.ending == "not finite":
            self._fail_numeric(sequence)
        elif runner.stop_token_id is not None:
            self._finish(sequence, "stop", stop_token_id=runner.stop_token_id)
        else:
            self._publish(sequence)

    def _publish(self, sequence: Sequence) -> None:
        assert sequence.table is not None
        self.cache.publish(sequence.table, sequence.tokens, sequence.computed)

    def _forward(self, chunks: Several[Chunk]) -> None:
        """Compute one step and hand every chunk the rows that it asked for."""
        if not chunks:
            return
        logits = self._model.forward(self._builder.build(chunks))
        tokens = pick_tokens(self._model, chunks, logits)
        row = 0
        for chunk in chunks:
            rows = slice(row, row + len(chunk.scored_rows) + chunk.samples)
            if NOT_FINITE in tokens[rows]:
                chunk.sequence.computed = chunk.stop
                self._fail_numeric(chunk.sequence)
            else:
                self._advance(chunk, logits[rows], tokens[rows])
            row = rows.stop

    def _embed(self, chunks: Several[Chunk]) -> None:
        """Compute a step's share of embeddings, which need no logits."""
        if not chunks:
            return
        hidden = self._model.hidden(self._builder.build(chunks))
        row = 0
        for chunk in chunks:
            rows = slice(row, row + len(chunk.pooled_rows))
            self._pool(chunk, hidden[rows])
            row = rows.stop

    def _pool(self, chunk: Chunk, rows: Hidden) -> None:
        """Add a chunk's hidden states to its embedding, which may be done then."""
        sequence, pool = chunk.sequence, chunk.sequence.pool
        assert pool
        sequence.computed = chunk.stop
        if not np.isfinite(rows).all():
            self._fail_numeric(sequence)
            return
        self._publish(sequence)
        self._news.prefilled(sequence)
        pool.add(rows)
        if pool.complete:
            self._end_prefill(sequence)
            self._finish(sequence, "stop", embedding=pool.vector())

    def _advance(self, chunk: Chunk, rows: Logits, tokens: list[int]) -> None:
        """Publish what the chunk computed, score its prompt tokens, go on with its next one."""
        sequence = chunk.sequence
        sequence.computed = chunk.stop
        self._publish(sequence)
        scores = prompt_scores(chunk, rows)
        sequence.scored += len(scores)
        if sequence.completion_tokens == 0:
            self._news.prefilled(sequence, scores)
        if chunk.samples:
            self._go_on(sequence, rows[-1], tokens[-1])

    def _go_on(self, sequence: Sequence, logits: Logits, token_id: int) -> None:
        """Say `token_id`, unless penalties, bias or a mask would have it otherwise."""
        if sequence.clock.prefilled is None:
            self._end_prefill(sequence)
        if sequence.request.params.max_tokens == 0:
            self._finish(sequence, "length")
            return
        with self._own_failure(sequence):
            if sequence.sampler.adjusts:
                token_id = adjusted_token(self._model, sequence, logits)
            self._accept(sequence, token_id, logits)

    @contextmanager
    def _own_failure(self, sequence: Sequence) -> Iterator[None]:
        """Let a grammar or a stop check fail in its own answer, not in others."""
        try:
            yield
        except PunaError as error:
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

    def _accept(self, sequence: Sequence, token_id: int, logits: Logits | None = None) -> None:
        """Make the token the choice's next, or its end."""
        if token_id in sequence.ending_ids:
            self._finish(sequence, "stop", stop_token_id=token_id)
            return
        sequence.append(token_id)
        reason = sequence.end_after(token_id)
        wanted = sequence.request.params.logprobs
        scored = None if wanted is None or logits is None else score(logits, token_id, wanted)
        if reason is not None:
            self._finish(sequence, reason, token_id=token_id, scored=scored)
        else:
            self._news.said(sequence, token_id, scored)

    def _fail_numeric(self, sequence: Sequence) -> None:
        error = NumericError(
            f"the network gave NaN or infinity after {sequence.computed} tokens; "
            "the answer ends here. Other requests are not affected"
        )
        self._finish(sequence, "error", error=error, sound=False)

    def _finish(
        self, sequence: Sequence, reason: FinishReason, *, sound: bool = True, **last: Any
    ) -> None:
        """End one choice: blocks back to the pool, the reason and its `last` into the news."""
        self.scheduler.remove(sequence, sound=sound)
        self._news.ended(sequence, reason, **last)
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
