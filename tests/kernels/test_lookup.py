"""A guess is what followed the longest match."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from puna.kernels.lookup import LONGEST_MATCH, guess_next


def guess(tokens: list[int], most: int = 4) -> list[int]:
    return guess_next(np.array(tokens, np.int32), most)


def test_the_longest_match_is_taken_and_of_equals_the_latest() -> None:
    assert guess([1, 2, 3, 7, 9, 3, 8, 2, 3], 1) == [7]
    assert guess([3, 7, 0, 3, 8, 0, 1, 3], 1) == [8]


def test_without_a_match_nothing_is_guessed() -> None:
    assert guess([1, 2, 3, 4]) == []
    assert guess([5]) == []


def test_a_guess_may_run_on_in_circles() -> None:
    assert guess([1, 2, 1, 2], 5) == [1, 2, 1, 2, 1]
    assert guess([4, 4], 3) == [4, 4, 4]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(0, 12))
def test_a_guess_continues_an_earlier_place_that_matches_as_far_as_any(
    tokens: list[int], most: int
) -> None:
    found = guess(tokens, most)
    assert len(found) in (0, most)
    matches = [_match(tokens, place) for place in range(1, len(tokens))]
    best = max(matches, default=0)
    if not best:
        assert found == []
        return
    place = len(matches) - matches[::-1].index(best)
    copied = (tokens + found)[place : place + most]
    assert found == copied


def _match(tokens: list[int], place: int) -> int:
    count = 0
    while count < min(place, LONGEST_MATCH) and tokens[place - 1 - count] == tokens[-1 - count]:
        count += 1
    return count
