"""One step's rows: tokens of several sequences side by side, and where their keys and values lie.

In: the scheduler's choice of tokens.  Out: a checked, immutable description
that every kernel reads.  Knows no network, no text and no request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_TOKENS = 32
"""Tokens in one block of the KV cache."""


@dataclass(frozen=True)
class Sequence:
    """One sequence's share of a batch."""

    rows: slice
    kv_length: int
    blocks: NDArray[np.int32]  # those that hold its kv_length tokens, in order


@dataclass(frozen=True)
class Batch:
    """One step: rows of several sequences side by side.

    The last row of sequence s stands at position kv_lengths[s] - 1, and the
    positions before it lead up to that one without a gap.
    """

    tokens: NDArray[np.int32]  # (rows,)
    positions: NDArray[np.int32]  # (rows,) consecutive within a sequence
    sequence_starts: NDArray[np.int32]  # (sequences + 1,) first row of each, then the row count
    kv_lengths: NDArray[np.int32]  # (sequences,) tokens in the cache once this step is done
    block_tables: NDArray[np.int32]  # (sequences, max_blocks) block of tokens 32 i ..., -1 pads
    output_rows: NDArray[np.int32]  # (outputs,) rows whose logits are wanted, ascending

    @property
    def rows(self) -> int:
        """How many tokens this step computes."""
        return len(self.tokens)

    def sequences(self) -> Iterator[Sequence]:
        """Yield each sequence with its rows and the cache blocks that it fills."""
        for index, kv_length in enumerate(self.kv_lengths.tolist()):
            first, last = self.sequence_starts[index : index + 2].tolist()
            blocks = self.block_tables[index, : -(-kv_length // BLOCK_TOKENS)]
            yield Sequence(slice(first, last), kv_length, blocks)

    def check(self) -> None:
        """Assert that the parts agree; a batch that does not is the scheduler's mistake."""
        assert self.rows > 0
        assert self.positions.shape == self.tokens.shape
        assert self.sequence_starts[0] == 0
        assert self.sequence_starts[-1] == self.rows
        assert self.block_tables.shape[0] == len(self.kv_lengths) == len(self.sequence_starts) - 1
        assert (np.diff(self.output_rows) > 0).all()
        assert all(0 <= row < self.rows for row in self.output_rows.tolist())
        for sequence in self.sequences():
            self._check_sequence(sequence)

    def _check_sequence(self, sequence: Sequence) -> None:
        count = sequence.rows.stop - sequence.rows.start
        assert 0 < count <= sequence.kv_length
        expected = np.arange(sequence.kv_length - count, sequence.kv_length)
        assert (self.positions[sequence.rows] == expected).all()
        assert len(sequence.blocks) * BLOCK_TOKENS >= sequence.kv_length
        assert (sequence.blocks >= 0).all()
