"""An answer that says one passage over and over, as small models do that do not find the end.

In: an answer's latest tokens.  Out: whether they are nothing but one passage, repeated.
Knows no text, so a list whose items differ in a single number is no repetition.
"""

from __future__ import annotations

from array import array

LOOKED_FOR_EVERY = 32  # tokens
LEAST_TIMES = 3


def is_repetition(tokens: array[int]) -> bool:
    """Tell whether `tokens` are one passage, at least `LEAST_TIMES` times."""
    said, size = tokens.tobytes(), tokens.itemsize
    longest = len(tokens) // LEAST_TIMES
    # A text that repeats after n tokens is the same n tokens later.
    return any(said[n * size :] == said[: -n * size] for n in range(1, longest + 1))
