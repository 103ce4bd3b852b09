"""What probability the model itself gave a token.

In: a row of raw logits (vocab,).  Out: natural-log probabilities, before
temperature, penalties, bias and mask.  Knows no sampling rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.kernels.largest import largest


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token's natural-log probability, with the likeliest alternatives, best first."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


def score(logits: NDArray[np.float32], token_id: int, alternatives: int) -> TokenScore:
    """Score `token_id` under the softmax of `logits` (vocab,)."""
    total = log_sum_exp(logits)
    best = largest(logits, alternatives) if alternatives else ()
    top = tuple((int(i), float(logits[i]) - total) for i in best)
    return TokenScore(token_id, float(logits[token_id]) - total, top)


def log_sum_exp(logits: NDArray[np.float32]) -> float:
    """Return log(sum(exp(logits))), safe for logits of any finite size."""
    best = float(logits.max())
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp(logits - np.float32(best))
    return best + float(np.log(weights.sum(dtype=np.float64)))
