"""How long a refusal takes tells nothing: neither of a key's secret, nor who has an account."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import erfc, inf, sqrt
from random import Random
from statistics import median

import pytest

from puna.accounts import Keys, Store, Users, new_id
from puna.accounts.keys import CHECK_DIGITS, _checksum, new_secret
from puna.errors import AuthenticationError

TIMES, TRIES = 700, 5
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


@pytest.mark.parametrize("digits", [42, None])
def test_every_wrong_secret_takes_as_long(store: Store, digits: int | None) -> None:
    """Beside other tests times wander; that they agree to a microsecond is the soak's to see."""
    probable, _ = guesses(store, TIMES, digits)
    assert probable > CHANCE


def guesses(
    store: Store, times: int, digits: int | None, seed: int = 20261124
) -> tuple[float, float]:
    """Guess keys so often, in turn: one all wrong, and another that is nearly right.

    That has so many right digits, or with None not even the id of a key.  Whoever listens takes
    the least of several tries, for other work only ever adds to it.  Returns how probable it is
    that both take the same time, and how far the two are apart in the median, in seconds.
    """
    keys, random = Keys(store), Random(seed)
    secret = keys.create("laptop").secret
    other = new_secret(new_id("key")) if digits is None else with_right_prefix(secret, digits)
    guessed = (with_right_prefix(secret, 0), other)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times // TRIES):
        least = [inf, inf]
        for which in [one for _ in range(TRIES) for one in random.sample((0, 1), 2)]:
            least[which] = min(least[which], took_s(partial(keys.verify, guessed[which])))
        for one, others in zip(least, taken, strict=True):
            others.append(one)
    return alike(*taken), abs(median(one - other for one, other in zip(*taken, strict=True)))


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
