"""How a token is picked: NumPy against the definition, the kernel against NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from puna.kernels.largest import largest
from puna.kernels.native import Tape
from puna.kernels.sampling import (
    NOT_FINITE,
    Draws,
    distribution,
    make_draw,
    pick,
    sample_rows,
    uniform,
)
from tests.kernels.alone import shape

Row = NDArray[np.float32]
FAR_OUT = 3.1  # standard deviations: 0.1 % of a normal tail, which chi-square approaches

logits = arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.floats(-30, 30, width=32, allow_nan=False),
)


@pytest.fixture(scope="module")
def native() -> Iterator[Tape]:
    tape = Tape(shape(), 2)
    yield tape
    tape.close()


def softmax(scores: Row, temperature: float) -> NDArray[np.float64]:
    exact = scores.astype(np.float64) / temperature
    weights = np.exp(exact - exact.max())
    return np.asarray(weights / weights.sum())


def exact(
    scores: Row, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> NDArray[np.float64]:
    """Return (vocab,) probabilities by the definition, with full sorts."""
    probabilities = softmax(scores, temperature)
    order = np.argsort(-probabilities, kind="stable")
    keep = np.ones(len(scores), bool)
    if top_k:
        keep[order[top_k:]] = False
    probabilities = _renormalised(probabilities, keep)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    keep[order[before >= top_p]] = False
    probabilities = _renormalised(probabilities, keep)
    keep &= probabilities >= min_p * probabilities.max()
    return _renormalised(probabilities, keep)


def _renormalised(p: NDArray[np.float64], keep: NDArray[np.bool_]) -> NDArray[np.float64]:
    kept = np.where(keep, p, 0.0)
    return np.asarray(kept / kept.sum())


def spread(scores: Row, **params: Any) -> NDArray[np.float64]:
    """Return (vocab,) probabilities as they are drawn from."""
    ids, weights = distribution(scores, **{"temperature": 1.0, **params})
    probabilities = np.zeros(len(scores))
    probabilities[slice(None) if ids is None else ids] = weights / weights.sum(dtype=np.float64)
    return probabilities


@given(logits, st.integers(1, 400))
def test_largest_is_the_head_of_a_stable_sort(values: Row, k: int) -> None:
    assert largest(values, k).tolist() == np.argsort(-values, kind="stable")[:k].tolist()


@given(logits, st.integers(1, 400))
def test_top_k_leaves_exactly_k_tokens_the_likeliest(scores: Row, k: int) -> None:
    ids, weights = distribution(scores, top_k=k, temperature=10.0)
    support = np.arange(len(scores)) if ids is None else ids
    assert len(support) == len(weights) == min(k, len(scores))
    assert np.sort(scores)[-len(support) :].sum() == pytest.approx(scores[support].sum(), abs=1e-2)


@given(logits, st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_nucleus(scores: Row, top_p: float) -> None:
    ids, _ = distribution(scores, temperature=1.0, top_p=top_p)
    assert ids is not None
    probabilities = softmax(scores, 1.0)
    mass = probabilities[ids].sum()
    assert mass >= top_p - 1e-5
    assert mass - probabilities[ids].min() < top_p + 1e-5


@given(logits, st.floats(0.001, 1.0))
def test_min_p_keeps_exactly_what_is_likely_enough_beside_the_best(
    scores: Row, min_p: float
) -> None:
    probabilities = spread(scores, min_p=min_p)
    relative = softmax(scores, 1.0) / softmax(scores, 1.0).max()
    assert (relative[probabilities > 0] >= min_p * (1 - 1e-5)).all()
    assert (relative[probabilities == 0] < min_p * (1 + 1e-5)).all()


@given(
    logits,
    st.fixed_dictionaries(
        {
            "temperature": st.floats(0.05, 5.0),
            "top_k": st.integers(0, 50),
            "top_p": st.floats(0.05, 1.0),
            "min_p": st.floats(0.0, 0.5),
        }
    ),
)
def test_the_distribution_is_the_definitions(scores: Row, params: dict[str, Any]) -> None:
    expected = exact(scores, **params)
    for nudge in (1 - 1e-4, 1 + 1e-4):  # leave out tokens on an edge, where rounding decides
        nudged = {name: min(params[name] * nudge, 1.0) for name in ("top_p", "min_p")}
        assume(((exact(scores, **{**params, **nudged}) > 0) == (expected > 0)).all())
    np.testing.assert_allclose(spread(scores, **params), expected, atol=1e-4)


PARAMS = [
    {"temperature": 1.0},
    {"temperature": 0.7, "top_k": 20},
    {"temperature": 1.5, "top_p": 0.9},
    {"temperature": 1.0, "min_p": 0.05},
    {"temperature": 1.2, "top_k": 40, "top_p": 0.8, "min_p": 0.02},
]


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("vocab", [50, 5000])
def test_frequencies_fit_the_exact_probabilities(
    vocab: int, params: dict[str, Any], native: Tape
) -> None:
    scores = np.random.default_rng(vocab).normal(0, 2.5, vocab).astype(np.float32)
    count = 10_000
    allowed = distribution(scores, **params)
    meant = np.array([pick(*allowed, uniform(1, 0, step)) for step in range(count)])
    draws = many(count, seed=1, **params)
    parts = [
        native.sample(np.tile(scores, (100, 1)), draws[i : i + 100]) for i in range(0, count, 100)
    ]
    picked = np.concatenate(parts)
    assert (
        picked != meant
    ).mean() < 1e-3  # exp rounds differently, and 1 in some 10,000 lies on an edge
    for drawn in (meant, picked):
        assert_fits(np.bincount(drawn, minlength=vocab), exact(scores, **params) * count)


def assert_fits(counts: NDArray[np.intp], expected: NDArray[np.float64]) -> None:
    """Chi-square, the rare ones taken together."""
    assert counts[expected == 0].sum() == 0
    common = expected >= 5
    statistic = ((counts[common] - expected[common]) ** 2 / expected[common]).sum()
    rest = expected[~common].sum()
    degrees = int(common.sum()) - 1
    if rest >= 5:
        statistic += (counts[~common].sum() - rest) ** 2 / rest
        degrees += 1
    assert (statistic - degrees) / math.sqrt(2 * degrees) < FAR_OUT


def many(count: int, first_step: int = 0, **params: Any) -> Draws:
    """Return (count,) draws, each a step further on."""
    draws = np.repeat(make_draw(**params), count)
    draws["step"] = first_step + np.arange(count)
    return draws


@settings(max_examples=200)
@given(
    logits,
    st.fixed_dictionaries(
        {
            "temperature": st.sampled_from([0.0, 1e-6, 0.3, 1.0, 4.0]),
            "top_k": st.sampled_from([0, 1, 7, 60, 299]),
            "top_p": st.sampled_from([0.05, 0.5, 0.95, 1.0]),
            "min_p": st.sampled_from([0.0, 0.01, 0.2]),
        }
    ),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 7), st.integers(0, 2**31)),
)
def test_the_kernel_picks_what_numpy_picks(
    native: Tape, scores: Row, params: dict[str, Any], place: tuple[int, int, int]
) -> None:
    seed, choice, step = place
    draws = many(5, first_step=step, seed=seed, choice=choice, **params)
    rows = np.tile(scores, (5, 1))
    picked, meant = native.sample(rows, draws), sample_rows(rows, draws)
    if (picked == meant).all():
        return
    for edge in (1 - 1e-5, 1 + 1e-5):  # on an edge rounding decides
        nudged = {**params, "temperature": params["temperature"] * edge}
        moved = many(5, first_step=step, seed=seed, choice=choice, **nudged)
        assume((sample_rows(rows, moved) == meant).all())
    assert picked.tolist() == meant.tolist()


@pytest.mark.parametrize("width", [1, 2, 63, 64, 65, 255, 256, 257, 1000, 49_152])
def test_greedy_is_the_first_of_the_best(width: int, native: Tape) -> None:
    rng = np.random.default_rng(width)
    rows = rng.integers(-3, 3, (20, width)).astype(np.float32)  # many equals, and both zeros
    rows[rows == 0] = rng.choice([0.0, -0.0], int((rows == 0).sum()))
    rows[3] = -rng.random(width).astype(np.float32)
    picked = native.sample(rows, many(20, temperature=0.0))
    assert picked.tolist() == rows.argmax(axis=1).tolist()


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 17, 299])
def test_a_row_that_is_not_finite_is_told_from_its_neighbours(
    bad: float, place: int, native: Tape
) -> None:
    rows = np.random.default_rng(1).normal(0, 3, (5, 300)).astype(np.float32)
    rows[2, place] = bad
    for temperature in (0.0, 1.0):
        draws = many(5, temperature=temperature, seed=4)
        picked = native.sample(rows, draws).tolist()
        assert picked == sample_rows(rows, draws).tolist()
        assert [token == NOT_FINITE for token in picked] == [False, False, True, False, False]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_bans_are_minus_infinity_and_nothing_else_may_be(temperature: float, native: Tape) -> None:
    rows = np.full((4, 300), -np.inf, np.float32)
    rows[0, 77] = -5.0
    rows[2, 5] = np.nan
    rows[3, 5] = np.inf
    draws = many(4, temperature=temperature, banned=True)
    assert native.sample(rows, draws).tolist() == [77, NOT_FINITE, NOT_FINITE, NOT_FINITE]
    assert sample_rows(rows, draws).tolist() == [77, NOT_FINITE, NOT_FINITE, NOT_FINITE]


def test_the_kernel_has_the_same_random_numbers(native: Tape) -> None:
    """Over equal logits the token is the number itself, in 1024ths."""
    level = np.zeros((200, 1024), np.float32)
    for seed, choice in ((0, 0), (-1, 3), (2**63 - 1, 7), (123456789, 1)):
        draws = many(200, first_step=2**31 - 100, seed=seed, choice=choice, temperature=1.0)
        numbers = [uniform(seed, choice, 2**31 - 100 + step) for step in range(200)]
        assert native.sample(level, draws).tolist() == [int(number * 1024) for number in numbers]


def test_a_draw_does_not_depend_on_neighbours_or_threads() -> None:
    rows = np.random.default_rng(3).normal(0, 2, (40, 3001)).astype(np.float32)
    draws = many(40, temperature=1.0, top_p=0.9, seed=9)
    one, two = Tape(shape(), 1), Tape(shape(), 2)
    together = two.sample(rows, draws).tolist()
    assert one.sample(rows, draws).tolist() == together
    assert [one.sample(rows[i : i + 1], draws[i : i + 1])[0] for i in range(40)] == together


def test_draws_that_do_not_fit_the_rows_are_refused(native: Tape) -> None:
    with pytest.raises(ValueError, match="draws"):
        native.sample(np.zeros((3, 10), np.float32), many(2, temperature=1.0))
    with pytest.raises(ValueError, match="empty"):
        native.sample(np.zeros((1, 0), np.float32), many(1, temperature=1.0))


def test_uniforms_are_uniform_and_independent_over_steps_choices_and_seeds() -> None:
    for numbers in (
        [uniform(7, 0, step) for step in range(4000)],
        [uniform(seed, 0, 0) for seed in range(4000)],
        [uniform(seed, index, 3) for seed in range(500) for index in range(8)],
    ):
        counts = np.histogram(numbers, bins=20, range=(0.0, 1.0))[0]
        assert ((counts - 200) ** 2 / 200).sum() < 43.8  # 0.1 % of chi-square with 19 degrees
        assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.06
        assert len(set(numbers)) == 4000


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 7), st.integers(0, 2**31))
def test_the_same_seed_choice_and_step_give_the_same_number(seed: int, i: int, step: int) -> None:
    assert uniform(seed, i, step) == uniform(seed, i, step)
    assert 0.0 <= uniform(seed, i, step) < 1.0


@given(logits, st.floats(0.0, 1.0, exclude_max=True), st.sampled_from([1e-300, 5e-324, 1e-6]))
def test_temperature_near_zero_is_greedy(scores: Row, point: float, temperature: float) -> None:
    token = pick(*distribution(scores, temperature=temperature), point)
    assert scores[token] >= scores.max() - 1e-3


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.floats(0.0, 1.0, exclude_max=True))
def test_a_vocabulary_of_128k_is_drawn_from_as_exactly(seed: int, point: float) -> None:
    """The two-level sum finds the same token as one long sum, up to rounding."""
    scores = np.random.default_rng(seed).normal(0, 2, 128_256).astype(np.float32)
    token = pick(*distribution(scores, temperature=1.0), point)
    sums = np.cumsum(softmax(scores, 1.0))
    assert sums[token] >= point - 1e-5
    assert sums[token] - softmax(scores, 1.0)[token] <= point + 1e-5


def test_huge_logits_stay_finite(native: Tape) -> None:
    scores = np.array([3e38, -3e38, 2.9e38, 0.0], np.float32)
    for params in ({}, {"top_p": 0.5}, {"top_k": 2}):
        draws = many(50, temperature=1.0, **params)
        for kernel in (native.sample, sample_rows):
            assert set(kernel(np.tile(scores, (50, 1)), draws).tolist()) == {0}
