"""What a sequence probably says next: what followed the same tokens before.

In: a sequence's tokens.  Out: a guess at those that follow, which a model then
checks ("prompt lookup", Saxena, 2023).  Knows no model and no price.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_MATCH = 8
"""Tokens before the guess that are compared."""


def guess_next(tokens: NDArray[np.int32], most: int) -> list[int]:
    """Return up to `most` tokens after the longest match, the latest of equals; [] if none."""
    best, longest = 0, 0
    for place in np.flatnonzero(tokens[:-1] == tokens[-1])[::-1].tolist():
        matched = _match_before(tokens, place + 1)
        if matched > longest:
            best, longest = place + 1, matched
    if not longest:
        return []
    line: list[int] = tokens[best:].tolist()
    while len(line) < most:  # a text that goes round in circles
        line += line
    return line[:most]


def _match_before(tokens: NDArray[np.int32], place: int) -> int:
    """Count the tokens before `place` that equal those before the end."""
    most = min(place, LONGEST_MATCH)
    different = tokens[place - most : place] != tokens[len(tokens) - most :]
    places = np.flatnonzero(different)
    return most if not len(places) else most - 1 - int(places[-1])
