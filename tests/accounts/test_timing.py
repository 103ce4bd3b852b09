"""How long a refusal takes tells nothing: neither of a key's secret, nor who has an account."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import erfc, sqrt
from random import Random
from statistics import median

import pytest

from puna.accounts import Keys, Store, Users
from puna.accounts.keys import CHECK_DIGITS, _checksum
from puna.errors import AuthenticationError

TIMES = 1500
CHANCE = 0.001  # how rarely equal times may differ as much as this by chance
PASSWORD = "a long password"


def took_s(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    with suppress(AuthenticationError):
        work()
    return time.perf_counter() - began


def with_right_prefix(secret: str, digits: int) -> str:
    """Another secret of the same key, of which so many random digits are right."""
    start = len("puna_sk_") + 16 + 1
    right, rest = secret[: start + digits], secret[start + digits : -CHECK_DIGITS]
    body = right + "".join("A" if digit != "A" else "B" for digit in rest)
    return body + _checksum(body)


def alike(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the probability (Mann-Whitney) that so different times are equal in truth."""
    ranked = sorted([(one, 0) for one in left] + [(one, 1) for one in right])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(left), len(right)
    u = ranks - n * (n + 1) / 2
    deviation = sqrt(n * m * (n + m + 1) / 12)
    return erfc(abs(u - n * m / 2) / deviation / sqrt(2))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_secret_that_is_nearly_right_takes_as_long_as_one_that_is_not(store: Store) -> None:
    keys, random = Keys(store), Random(20261124)
    secret = keys.create("laptop").secret
    guesses = {0: with_right_prefix(secret, 0), 42: with_right_prefix(secret, 42)}
    times: dict[int, list[float]] = {digits: [] for digits in guesses}
    for _ in range(TIMES):
        for digits in random.sample(sorted(guesses), 2):
            times[digits].append(took_s(lambda guess=guesses[digits]: keys.verify(guess)))  # type: ignore[misc]
    assert alike(times[0], times[42]) > CHANCE
    assert abs(median(times[0]) - median(times[42])) < 0.02 * median(times[0])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_unknown_address_takes_as_long_as_a_known_one(store: Store) -> None:
    users = Users(store)
    times: dict[str, list[float]] = {"ada@example.org": [], "nobody@example.org": []}
    users.create("ada@example.org", PASSWORD)
    for _ in range(9):  # the tenth wrong attempt would lock the account
        for address, taken in times.items():
            taken.append(took_s(lambda who=address: users.check(who, "not the password")))  # type: ignore[misc]
    known, unknown = (min(taken) for taken in times.values())
    assert 0.8 < unknown / known < 1.25, times  # 1.05 where nothing else runs
