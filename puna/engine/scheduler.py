"""Which tokens of which sequences the next step computes.

In: sequences that wait, run, or end.  Out: chunks, one for each sequence of
the step.  Knows no logits and no text.

Decode rows go first, one a sequence, so that a long prompt never stops the
answers beside it; prompts fill what is left, in the turn that `fairness` gives
them.  When the pool is full, the last in turn gives its blocks back and is
computed again later, from the same tokens to the same next one.  The first in
turn can therefore always go on: whatever fits the pool alone is never failed
by others.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from puna.engine.cache import BlockTable, KVCache
from puna.engine.fairness import Line, Shares, gives_way
from puna.engine.sequence import Order, Sequence
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
        return self.stop == len(self.sequence.tokens) and not self.sequence.pool

    @property
    def scored_rows(self) -> range:
        """Positions whose logits score the prompt token after them."""
        if not self.sequence.wants_scores:
            return range(0)
        first = max(self.start, self.sequence.scored - 1)
        return range(first, min(self.stop, self.sequence.prompt_tokens - 1))

    @property
    def pooled_rows(self) -> range:
        """Positions whose hidden states go into an embedding."""
        pool = self.sequence.pool
        return pool.wanted(self.start, self.stop) if pool else range(0)


class Scheduler:
    """The waiting line and the running sequences."""

    def __init__(self, cache: KVCache, settings: EngineSettings, max_outputs: int) -> None:
        self._cache = cache
        self._settings = settings
        self._max_outputs = max_outputs
        self._shares = Shares()
        self._line = Line(self._shares)
        self._running: list[Sequence] = []
        self._refused: Sequence | None = None  # it did not fit, and nothing was freed since
        self.paused: list[Sequence] = []  # in the last plan, for want of leave to say more
        self.preemptions = 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self._running and not len(self._line)

    @property
    def waiting(self) -> int:
        """Sequences in the waiting line."""
        return len(self._line)

    @property
    def running(self) -> int:
        """Sequences that hold blocks."""
        return len(self._running)

    def add(self, sequence: Sequence) -> None:
        """Put a new sequence into the waiting line."""
        self._shares.enter(sequence)
        self._wait(sequence)

    def _wait(self, sequence: Sequence) -> None:
        self._line.add(sequence)
        self._refused = None

    def remove(self, sequence: Sequence, *, sound: bool = True) -> None:
        """Take a sequence out and give its blocks back; unsound ones are never reused."""
        if sequence.table is not None:
            self._running.remove(sequence)
            self._give_back(sequence, sound=sound)
        elif self._line.remove(sequence):
            self._refused = None
        else:
            return  # it never came in, or is out already
        self._shares.leave(sequence)

    def plan(self) -> list[Chunk]:
        """Choose the next step's chunks."""
        self.paused = [s for s in (*self._running, *self._line) if s.paused]
        resting = {sequence.order for sequence in self.paused}
        self._let_in(resting)
        chunks = self._decode(resting)
        rows = self._settings.prefill_budget(len(chunks))
        outputs = self._max_outputs - len(chunks)
        done = resting | {chunk.sequence.order for chunk in chunks}
        for sequence in self._in_turn():
            if sequence.order in done:
                continue
            chunk = self._cut(sequence, rows, outputs)
            if chunk is None:
                break
            rows -= chunk.rows
            outputs -= len(chunk.scored_rows) + chunk.samples
            chunks.append(chunk)
        return chunks

    def _in_turn(self) -> list[Sequence]:
        """Return the running sequences, the last to be preempted first."""
        return sorted(self._running, key=self._shares.turn)

    def _decode(self, resting: Set[Order]) -> list[Chunk]:
        """Give each decoding sequence its row, preempting the last in turn for room."""
        chunks = [
            Chunk(sequence, sequence.computed, len(sequence.tokens))
            for sequence in self._in_turn()
            if sequence.decoding and sequence.order not in resting and self._make_room(sequence)
        ]
        for chunk in chunks:
            self._shares.charge(chunk.sequence, chunk.stop)
        return chunks

    def _make_room(self, sequence: Sequence) -> bool:
        while sequence.table is not None:
            if self._cache.grow(sequence.table, len(sequence.tokens)):
                return True
            assert len(self._running) > 1, "a sequence that was let in must fit the pool alone"
            self._preempt(max(self._running, key=self._shares.turn))
        return False

    def _preempt(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        self._give_back(sequence, sound=True)
        self._wait(sequence)
        self.preemptions += 1

    def _let_in(self, resting: Set[Order]) -> None:
        """Admit who waits, in turn, as far as rows and blocks go; nobody overtakes."""
        for sequence in self._line.in_turn():
            if sequence.order in resting or self._awaits_prefix(sequence):
                continue
            if not self._admit(sequence):
                break

    def _awaits_prefix(self, sequence: Sequence) -> bool:
        """Tell whether a running prompt is about to compute blocks that this one begins with, too.

        Requests that arrive together with one system prompt thus read it once.
        """
        return any(
            _shares_next_block(sequence, other)
            for other in self._running
            if not other.decoding and other.request.cache_salt == sequence.request.cache_salt
        )

    def _admit(self, sequence: Sequence) -> bool:
        """Let a waiting sequence in, for others where they have more than their share."""
        while not self._enter(sequence):
            other = gives_way(self._running, sequence, self._shares)
            if other is None:
                return False
            self._preempt(other)
        return True

    def _enter(self, sequence: Sequence) -> bool:
        """Let a waiting sequence in if its tokens fit and each running one can still grow."""
        if self._running and self._refused is sequence:
            return False
        if len(self._running) == self._settings.max_sequences:
            return False
        opened = self._cache.open(
            sequence.tokens,
            sequence.request.cache_salt,
            reuse_tokens=sequence.reuse_tokens,
            spare_blocks=len(self._running),
        )
        if opened is None:
            self._refused = sequence
            return False
        self._line.remove(sequence)
        self._start(sequence, *opened)
        return True

    def _start(self, sequence: Sequence, table: BlockTable, cached_tokens: int) -> None:
        sequence.table, sequence.computed = table, cached_tokens
        if sequence.cached_tokens is None:
            sequence.cached_tokens = sequence.charged_tokens = cached_tokens
        self._shares.charge(sequence, sequence.prompt_tokens)
        self._running.append(sequence)
        self._refused = None

    def _cut(self, sequence: Sequence, rows: int, outputs: int) -> Chunk | None:
        """Return as much of the sequence's pending tokens as the budgets allow."""
        most = min(rows, outputs) if sequence.wants_scores else rows
        if most <= 0 or outputs <= 0:
            return None
        start = sequence.computed
        return Chunk(sequence, start, min(start + most, len(sequence.tokens)))

    def _give_back(self, sequence: Sequence, *, sound: bool) -> None:
        assert sequence.table is not None
        self._shares.charge(sequence, len(sequence.tokens))  # a burst's tokens have not been yet
        if sound:
            self._cache.publish_tail(sequence.table, sequence.tokens, sequence.computed)
            self._cache.release(sequence.table)
        else:
            self._cache.forget(sequence.table)
        sequence.table, sequence.computed = None, 0
        self._refused = None


def _shares_next_block(one: Sequence, other: Sequence) -> bool:
    """Tell whether `one` begins with the block that `other` computes next, and with all before."""
    stop = (other.computed // BLOCK_TOKENS + 1) * BLOCK_TOKENS
    if stop > min(one.reuse_tokens, len(other.tokens)):
        return False
    mine, its = (memoryview(sequence.tokens)[:stop].cast("B") for sequence in (one, other))
    return mine == its
