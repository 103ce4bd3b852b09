"""The k largest of many numbers, without sorting them all.

In: a row of logits.  Out: token ids, best first, equal ones by lower id.
Knows no sampling rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.intp]

# How far below the best to look first.  A comparison over 128k logits costs a
# thirtieth of a partition over them, and one of the first two nearly always does.
_DEPTHS = (4.0, 12.0, 24.0)


def largest(values: NDArray[np.float32], k: int) -> Ids:
    """Return the indices of the k largest of `values` (n,), which may hold -inf.

    Fewer than k come back where fewer are above -inf.
    """
    candidates = _at_least(values, k)
    if len(candidates) > k:
        kth = np.partition(values[candidates], len(candidates) - k)[len(candidates) - k]
        candidates = candidates[values[candidates] >= kth]
    return descending(values, candidates)[:k]


def descending(values: NDArray[np.float32], ids: Ids) -> Ids:
    """Sort `ids`, which ascend, by falling value; equal values keep their order."""
    return ids[np.argsort(-values[ids], kind="stable")]


def _at_least(values: NDArray[np.float32], k: int) -> Ids:
    """Return at least k indices, among them the k largest, or all those above -inf."""
    best = values.max()
    for depth in _DEPTHS:
        ids = np.flatnonzero(values >= best - np.float32(depth))
        if len(ids) >= k:
            return ids
    return np.flatnonzero(values > -np.inf)
