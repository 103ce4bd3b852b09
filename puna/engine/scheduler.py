"""Who runs in the next step, and with how many tokens.

In: sequences that wait or run.  Out: chunks, at most `max_batch_tokens` in
all.  Knows no logits; it speaks to the KV cache for room and to nobody else.

Decode rows go first, one a sequence, so that a long prompt never stops the
answers beside it; prompts fill what is left, oldest first.  When the pool is
full the newest sequence gives its blocks back and is computed again later,
from the same tokens to the same next one.  The oldest can therefore always
go on: whatever fits the pool alone is never failed by others.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from puna.engine.cache import BlockTable, KVCache
from puna.engine.prefix import shared_tokens
from puna.engine.sequence import Sequence
from puna.engine.settings import EngineSettings
from puna.kernels.batch import BLOCK_TOKENS


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [start, stop) of one sequence, computed in one step."""

    sequence: Sequence
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows the chunk takes in the batch."""
        return self.stop - self.start

    @property
    def samples(self) -> bool:
        """Whether the chunk's last row gives the next token."""
        return self.stop == len(self.sequence.tokens)

    @property
    def scored_rows(self) -> range:
        """Positions whose logits score the prompt token after them."""
        if not self.sequence.wants_scores:
            return range(0)
        first = max(self.start, self.sequence.scored - 1)
        return range(first, min(self.stop, self.sequence.prompt_tokens - 1))


class Scheduler:
    """The waiting line and the running sequences, both in order of arrival."""

    def __init__(self, cache: KVCache, settings: EngineSettings, max_outputs: int) -> None:
        self._cache = cache
        self._settings = settings
        self._max_outputs = max_outputs
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []
        self._refused = False  # a sequence did not fit, and nothing was freed since
        self.preemptions = 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self._waiting and not self._running

    @property
    def waiting(self) -> int:
        """Sequences in the waiting line."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Sequences that hold blocks."""
        return len(self._running)

    def add(self, sequence: Sequence) -> None:
        """Put a sequence into the waiting line, at its place by arrival."""
        insort(self._waiting, sequence, key=_order)
        self._refused = False

    def remove(self, sequence: Sequence, *, sound: bool = True) -> None:
        """Take a sequence out and give its blocks back; unsound ones are never reused."""
        if sequence.table is None:
            if sequence in self._waiting:
                self._waiting.remove(sequence)
                self._refused = False
            return
        self._running.remove(sequence)
        self._give_back(sequence, sound=sound)

    def plan(self) -> list[Chunk]:
        """Choose the next step's chunks."""
        chunks = self._decode()
        rows = self._settings.prefill_budget(len(chunks))
        outputs = self._max_outputs - len(chunks)
        decoded = {chunk.sequence.order for chunk in chunks}
        for sequence in self._prefilling(decoded):
            chunk = self._cut(sequence, rows, outputs)
            if chunk is None:
                break
            rows -= chunk.rows
            outputs -= len(chunk.scored_rows) + chunk.samples
            chunks.append(chunk)
        return chunks

    def _decode(self) -> list[Chunk]:
        """Give each decoding sequence its row, oldest first, preempting the newest for room."""
        return [
            Chunk(sequence, sequence.computed, len(sequence.tokens))
            for sequence in list(self._running)
            if sequence.decoding and self._make_room(sequence)
        ]

    def _make_room(self, sequence: Sequence) -> bool:
        while sequence.table is not None:
            if self._cache.grow(sequence.table, len(sequence.tokens)):
                return True
            self._preempt(self._running[-1])
        return False

    def _preempt(self, sequence: Sequence) -> None:
        assert len(self._running) > 1, "a sequence that was let in must fit the pool alone"
        self._running.remove(sequence)
        self._give_back(sequence, sound=True)
        self.add(sequence)
        self.preemptions += 1

    def _prefilling(self, decoded: set[tuple[int, int]]) -> list[Sequence]:
        """Return the sequences that still have no row, letting in those that fit."""
        for sequence in list(self._waiting):
            if len(self._running) == self._settings.max_sequences:
                break
            if not self._awaits_prefix(sequence) and not self._admit(sequence):
                break
        return [sequence for sequence in self._running if sequence.order not in decoded]

    def _awaits_prefix(self, sequence: Sequence) -> bool:
        """Tell whether a running prompt is about to compute blocks that this one begins with, too.

        Requests that arrive together with one system prompt thus read it once.
        """
        return any(
            other.computed < _shared_start(sequence, other) // BLOCK_TOKENS * BLOCK_TOKENS
            for other in self._running
            if not other.decoding and other.request.cache_salt == sequence.request.cache_salt
        )

    def _admit(self, sequence: Sequence) -> bool:
        """Let a waiting sequence in if its tokens fit and each running one can still grow."""
        if self._refused and self._running:
            return False
        opened = self._cache.open(
            sequence.tokens,
            sequence.request.cache_salt,
            reuse_tokens=sequence.reuse_tokens,
            spare_blocks=len(self._running),
        )
        if opened is None:
            self._refused = True
            return False
        self._waiting.remove(sequence)
        self._start(sequence, *opened)
        return True

    def _start(self, sequence: Sequence, table: BlockTable, cached_tokens: int) -> None:
        sequence.table, sequence.computed = table, cached_tokens
        if sequence.cached_tokens is None:
            sequence.cached_tokens = cached_tokens
        insort(self._running, sequence, key=_order)
        self._refused = False

    def _cut(self, sequence: Sequence, rows: int, outputs: int) -> Chunk | None:
        """Return as much of the sequence's pending tokens as the budgets allow."""
        most = min(rows, outputs) if sequence.wants_scores else rows
        if most <= 0 or outputs <= 0:
            return None
        start = sequence.computed
        return Chunk(sequence, start, min(start + most, len(sequence.tokens)))

    def _give_back(self, sequence: Sequence, *, sound: bool) -> None:
        assert sequence.table is not None
        if sound:
            self._cache.publish_tail(sequence.table, sequence.tokens, sequence.computed)
            self._cache.release(sequence.table)
        else:
            self._cache.forget(sequence.table)
        sequence.table, sequence.computed = None, 0
        self._refused = False


def _shared_start(one: Sequence, other: Sequence) -> int:
    """Count the tokens that both begin with, as far as `one` may take them from the cache."""
    return min(shared_tokens(one.tokens.tobytes(), other.tokens.tobytes()), one.reuse_tokens)


def _order(sequence: Sequence) -> tuple[int, int]:
    return sequence.order
