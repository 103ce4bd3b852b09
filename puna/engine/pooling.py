"""A prompt's hidden states made one vector: an embedding before it is scaled.

In: rows of hidden states, chunk by chunk.  Out: their mean, or the last of
them.  Knows no network and no other prompt.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from puna.errors import InvalidParameterError

Pooling = Literal["mean", "last"]


class Pool:
    """One prompt's rows so far.

    Rows are added one by one in double precision, so that the sum is the same
    bit for bit however the prompt was cut into chunks.
    """

    def __init__(self, pooling: Pooling, prompt_tokens: int) -> None:
        self.taken = 0 if pooling == "mean" else prompt_tokens - 1  # rows that are no more needed
        self._prompt_tokens = prompt_tokens
        self._rows = 0
        self._sum: NDArray[np.float64] | None = None

    def wanted(self, start: int, stop: int) -> range:
        """Return those of the positions [start, stop) whose rows are still needed."""
        return range(max(start, self.taken), max(stop, self.taken))

    def add(self, rows: NDArray[np.float32]) -> None:
        """Take in the next rows, (rows, hidden)."""
        total = np.zeros(rows.shape[1]) if self._sum is None else self._sum
        for row in rows:
            total += row
        self._sum = total
        self._rows += len(rows)
        self.taken += len(rows)

    @property
    def complete(self) -> bool:
        """Whether every row that is needed is there."""
        return self.taken == self._prompt_tokens

    def vector(self) -> NDArray[np.float32]:
        """Return the (hidden,) mean of the rows."""
        assert self._sum is not None
        mean: NDArray[np.float32] = (self._sum / self._rows).astype(np.float32)
        return mean


def check_pooling(pooling: object) -> None:
    """Raise InvalidParameterError for a pooling that does not exist."""
    if pooling not in get_args(Pooling):
        names = " or ".join(map(repr, get_args(Pooling)))
        raise InvalidParameterError(f"pooling is {pooling!r}; it must be {names}")
