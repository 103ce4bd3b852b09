"""Chunks of sequences laid side by side as the arrays that a model reads.

In: the scheduler's chunks.  Out: a Batch over buffers that are allocated once
and written anew each step.  Knows no logits and no request.
"""

from __future__ import annotations

from collections.abc import Sequence as Several

import numpy as np
from numpy.typing import NDArray

from puna.engine.cache import blocks_for
from puna.engine.scheduler import Chunk
from puna.engine.settings import EngineSettings
from puna.kernels.batch import Batch

Int32s = NDArray[np.int32]


class BatchBuilder:
    """Buffers for the largest step; a built Batch is valid until the next is built."""

    def __init__(self, settings: EngineSettings, context_tokens: int, max_outputs: int) -> None:
        rows, sequences = settings.max_batch_tokens, settings.max_sequences
        self._tokens = np.empty(rows, np.int32)
        self._positions = np.empty(rows, np.int32)
        self._starts = np.zeros(sequences + 1, np.int32)
        self._lengths = np.empty(sequences, np.int32)
        self._tables = np.empty(sequences * blocks_for(context_tokens), np.int32)
        self._outputs = np.empty(max(max_outputs, rows), np.int32)
        self._counting = np.arange(context_tokens, dtype=np.int32)

    def build(self, chunks: Several[Chunk]) -> Batch:
        """Lay out `chunks`, one for each sequence of the step."""
        rows = self._fill_rows(chunks)
        return Batch(
            tokens=self._tokens[:rows],
            positions=self._positions[:rows],
            sequence_starts=self._starts[: len(chunks) + 1],
            kv_lengths=self._lengths[: len(chunks)],
            block_tables=self._fill_tables(chunks),
            output_rows=self._fill_outputs(chunks),
        )

    def _fill_rows(self, chunks: Several[Chunk]) -> int:
        row = 0
        for i, chunk in enumerate(chunks):
            end = row + chunk.rows
            known = np.frombuffer(chunk.sequence.tokens, np.int32)
            self._tokens[row:end] = known[chunk.start : chunk.stop]
            self._positions[row:end] = self._counting[chunk.start : chunk.stop]
            self._lengths[i] = chunk.stop
            self._starts[i + 1] = row = end
        return row

    def _fill_tables(self, chunks: Several[Chunk]) -> Int32s:
        """Return (sequences, max_blocks) block numbers, padded with -1."""
        width = max(blocks_for(chunk.stop) for chunk in chunks)
        tables = self._tables[: len(chunks) * width].reshape(len(chunks), width)
        tables.fill(-1)
        for i, chunk in enumerate(chunks):
            assert chunk.sequence.table is not None
            count = blocks_for(chunk.stop)
            tables[i, :count] = np.frombuffer(chunk.sequence.table.blocks, np.int32)[:count]
        return tables

    def _fill_outputs(self, chunks: Several[Chunk]) -> Int32s:
        """Return the wanted rows: scored or pooled ones, then the sampled one, by chunk."""
        count = 0
        for chunk, first in zip(chunks, self._starts.tolist(), strict=False):
            offset = first - chunk.start
            for position in output_positions(chunk):
                self._outputs[count] = offset + position
                count += 1
        return self._outputs[:count]


def output_positions(chunk: Chunk) -> list[int]:
    """Return the positions in the chunk's sequence whose rows are wanted, ascending."""
    sampled = [chunk.stop - 1] if chunk.samples else []
    return [*chunk.scored_rows, *chunk.pooled_rows, *sampled]
