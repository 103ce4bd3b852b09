"""Decode steps taken several at a time, in one call without the interpreter lock.

In: sequences that all wait for one row.  Out: what each of them says next.
Knows no stop string: the engine reads the tokens one by one and drops what
comes after an end.
"""

from __future__ import annotations

from collections.abc import Sequence as Several

import numpy as np

from puna.engine.cache import KVCache
from puna.engine.model import Model
from puna.engine.scheduler import Chunk
from puna.engine.sequence import Sequence
from puna.engine.settings import EngineSettings
from puna.kernels.burst import BurstLimits, Runner


class Bursts:
    """Runs bursts and counts what was guessed in them."""

    def __init__(self, model: Model, cache: KVCache, settings: EngineSettings) -> None:
        self._model = model
        self._cache = cache
        self._settings = settings
        self.drafted_tokens = 0
        self.accepted_tokens = 0

    @staticmethod
    def takes(chunks: Several[Chunk]) -> bool:
        """Tell whether a step with these chunks may go on without the engine looking at it."""
        return all(
            chunk.rows == 1 and chunk.sequence.completion_tokens > 0 and chunk.sequence.plain
            for chunk in chunks
        )

    def run(self, chunks: Several[Chunk], *, awaited: bool) -> list[Runner]:
        """Let each chunk's sequence go on; `awaited`: somebody else wants a row or room."""
        sequences = [chunk.sequence for chunk in chunks]
        self._grow_ahead(sequences)
        runners = [_enter(sequence) for sequence in sequences]
        self._model.burst(runners, self._limits(sequences, runners, awaited=awaited))
        self.drafted_tokens += sum(runner.drafted for runner in runners)
        self.accepted_tokens += sum(runner.accepted for runner in runners)
        return runners

    def _grow_ahead(self, sequences: Several[Sequence]) -> None:
        """Take blocks for the whole burst while there are plenty; nobody is preempted for them."""
        for sequence in sequences:
            assert sequence.table is not None
            ahead = min(self._settings.burst_steps, sequence.left_tokens) - 1
            if self._cache.available > 2 * len(sequences):
                self._cache.grow(sequence.table, len(sequence.tokens) + ahead)

    def _limits(
        self, sequences: Several[Sequence], runners: Several[Runner], *, awaited: bool
    ) -> BurstLimits:
        """End the burst before a sequence that is not at its end runs out of blocks."""
        cut = [
            runner.room
            for sequence, runner in zip(sequences, runners, strict=True)
            if runner.room < sequence.left_tokens
        ]
        return BurstLimits(
            seconds=self._settings.burst_ms / 1000,
            steps=min(self._settings.burst_steps, *cut) if cut else self._settings.burst_steps,
            rows=self._settings.max_batch_tokens,
            lookup_sequences=self._settings.lookup_sequences,
            until_first_end=awaited,
        )


def _enter(sequence: Sequence) -> Runner:
    assert sequence.table is not None
    blocks_hold = sequence.table.capacity_tokens - len(sequence.tokens) + 1
    return Runner(
        tokens=np.array(sequence.tokens, np.int32),
        blocks=np.array(sequence.table.blocks, np.int32),
        endings=np.fromiter(sequence.ending_ids, np.int32, len(sequence.ending_ids)),
        draw=sequence.sampler.draw(sequence.completion_tokens),
        room=min(sequence.left_tokens, blocks_hold),
        habits=sequence.habits,
    )
