"""The sampler against exact probabilities, written out the slow way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from puna.engine.largest import largest
from puna.engine.logprobs import score
from puna.engine.request import SamplingParams
from puna.engine.sampler import Sampler, distribution, draw, pick, uniform
from puna.errors import GrammarError

Row = NDArray[np.float32]
FAR_OUT = 3.1  # standard deviations: 0.1 % of a normal tail, which chi-square approaches

logits = arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.floats(-30, 30, width=32, allow_nan=False),
)


def softmax(scores: Row, temperature: float) -> NDArray[np.float64]:
    exact = scores.astype(np.float64) / temperature
    weights = np.exp(exact - exact.max())
    return np.asarray(weights / weights.sum())


def exact(scores: Row, **params: Any) -> NDArray[np.float64]:
    """Return (vocab,) probabilities by the definition, with full sorts."""
    asked = SamplingParams(**params)
    probabilities = softmax(scores, asked.temperature)
    order = np.argsort(-probabilities, kind="stable")
    keep = np.ones(len(scores), bool)
    if asked.top_k:
        keep[order[asked.top_k :]] = False
    probabilities = _renormalised(probabilities, keep)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    keep[order[before >= asked.top_p]] = False
    probabilities = _renormalised(probabilities, keep)
    keep &= probabilities >= asked.min_p * probabilities.max()
    return _renormalised(probabilities, keep)


def _renormalised(p: NDArray[np.float64], keep: NDArray[np.bool_]) -> NDArray[np.float64]:
    kept = np.where(keep, p, 0.0)
    return np.asarray(kept / kept.sum())


def spread(scores: Row, params: SamplingParams) -> NDArray[np.float64]:
    """Return (vocab,) probabilities as the sampler has them."""
    ids, weights = distribution(scores, params)
    probabilities = np.zeros(len(scores))
    probabilities[slice(None) if ids is None else ids] = weights / weights.sum(dtype=np.float64)
    return probabilities


def sampler(params: SamplingParams, prompt: tuple[int, ...] = ()) -> Sampler:
    return Sampler(params, prompt, 0, None)


@given(logits, st.integers(1, 400))
def test_largest_is_the_head_of_a_stable_sort(values: Row, k: int) -> None:
    assert largest(values, k).tolist() == np.argsort(-values, kind="stable")[:k].tolist()


@given(logits, st.integers(1, 400))
def test_top_k_leaves_exactly_k_tokens_the_likeliest(scores: Row, k: int) -> None:
    ids, weights = distribution(scores, SamplingParams(top_k=k, temperature=10.0))
    support = np.arange(len(scores)) if ids is None else ids
    assert len(support) == len(weights) == min(k, len(scores))
    assert np.sort(scores)[-len(support) :].sum() == pytest.approx(scores[support].sum(), abs=1e-2)


@given(logits, st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_nucleus(scores: Row, top_p: float) -> None:
    ids, _ = distribution(scores, SamplingParams(top_p=top_p))
    assert ids is not None
    probabilities = softmax(scores, 1.0)
    mass = probabilities[ids].sum()
    assert mass >= top_p - 1e-5
    assert mass - probabilities[ids].min() < top_p + 1e-5


@given(logits, st.floats(0.001, 1.0))
def test_min_p_keeps_exactly_what_is_likely_enough_beside_the_best(
    scores: Row, min_p: float
) -> None:
    probabilities = spread(scores, SamplingParams(min_p=min_p))
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
    np.testing.assert_allclose(spread(scores, SamplingParams(**params)), expected, atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_k": 20},
        {"temperature": 1.5, "top_p": 0.9},
        {"temperature": 1.0, "min_p": 0.05},
        {"temperature": 1.2, "top_k": 40, "top_p": 0.8, "min_p": 0.02},
    ],
)
@pytest.mark.parametrize("vocab", [50, 5000])
def test_frequencies_fit_the_exact_probabilities(vocab: int, params: dict[str, Any]) -> None:
    scores = np.random.default_rng(vocab).normal(0, 2.5, vocab).astype(np.float32)
    allowed, draws = distribution(scores, SamplingParams(**params)), 20_000
    drawn = [pick(*allowed, uniform(1, 0, step)) for step in range(draws)]
    counts = np.bincount(drawn, minlength=vocab)
    expected = exact(scores, **params) * draws
    assert counts[expected == 0].sum() == 0
    common = expected >= 5
    statistic = ((counts[common] - expected[common]) ** 2 / expected[common]).sum()
    rest = expected[~common].sum()
    degrees = int(common.sum()) - 1
    if rest >= 5:
        statistic += (counts[~common].sum() - rest) ** 2 / rest
        degrees += 1
    assert (statistic - degrees) / math.sqrt(2 * degrees) < FAR_OUT


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
    token = draw(scores, SamplingParams(temperature=temperature), point)
    assert scores[token] >= scores.max() - 1e-3


@given(logits)
def test_greedy_takes_the_first_of_the_best_without_touching_the_row(scores: Row) -> None:
    before = scores.copy()
    scores.setflags(write=False)
    assert sampler(SamplingParams(temperature=0.0)).sample(scores, 0) == int(scores.argmax())
    assert (scores == before).all()


@given(logits, st.data())
def test_the_row_is_never_written_to(scores: Row, data: st.DataObject) -> None:
    params = SamplingParams(
        seed=1, repetition_penalty=1.3, presence_penalty=0.4, logit_bias={0: 5.0}, top_p=0.9
    )
    prompt = tuple(data.draw(st.lists(st.integers(0, len(scores) - 1), max_size=20)))
    scores.setflags(write=False)
    one = sampler(params, prompt)
    for step in range(3):
        one.accept(one.sample(scores, step))


@given(
    arrays(np.float32, 40, elements=st.floats(-8, 8, width=32, allow_nan=False)),
    st.lists(st.integers(0, 39), min_size=1, max_size=30),
    st.sampled_from(["repetition_penalty", "presence_penalty", "frequency_penalty"]),
    st.floats(0.1, 1.9),
)
def test_a_penalty_never_makes_a_said_token_likelier(
    scores: Row, said: list[int], name: str, size: float
) -> None:
    neutral = 1.0 if name == "repetition_penalty" else 0.0
    plain = _adjusted(scores, said, {})
    penalised = _adjusted(scores, said, {name: neutral + size})
    harder = _adjusted(scores, said, {name: min(neutral + 1.5 * size, 2.0)})
    unsaid = [token for token in range(40) if token not in said]
    assert (penalised[said] <= plain[said]).all()
    assert size > 1.0 or (harder[said] <= penalised[said]).all()
    assert (penalised[unsaid] == plain[unsaid]).all()


def _adjusted(scores: Row, said: list[int], params: dict[str, float]) -> Row:
    one = sampler(SamplingParams(**params))  # type: ignore[arg-type]
    for token in said:
        one.accept(token)
    return one.adjusted(scores)


def test_penalties_have_the_published_amounts() -> None:
    scores = np.array([2.0, -2.0, 2.0, -2.0, 1.0], np.float32)
    repeated = _adjusted(scores, [0, 1], {"repetition_penalty": 2.0})
    assert repeated.tolist() == [1.0, -4.0, 2.0, -2.0, 1.0]
    present = _adjusted(scores, [0, 0, 0, 4], {"presence_penalty": 0.5})
    assert present.tolist() == [1.5, -2.0, 2.0, -2.0, 0.5]
    frequent = _adjusted(scores, [0, 0, 0, 4], {"frequency_penalty": 0.5})
    assert frequent.tolist() == [0.5, -2.0, 2.0, -2.0, 0.5]


def test_the_prompt_counts_for_repetition_alone() -> None:
    scores = np.array([2.0, 2.0], np.float32)
    both = SamplingParams(repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.5)
    assert sampler(both, prompt=(0, 0)).adjusted(scores).tolist() == [1.0, 2.0]


@given(logits, st.floats(0.0, 1.0, exclude_max=True), st.data())
def test_a_bias_of_minus_100_is_never_sampled(
    scores: Row, point: float, data: st.DataObject
) -> None:
    ids = st.lists(st.integers(0, len(scores) - 1), max_size=len(scores) - 1, unique=True)
    banned = data.draw(ids) if len(scores) > 1 else []
    scores[banned] += 200  # even where the model insists
    for temperature in (0.0, 10.0):
        params = SamplingParams(temperature=temperature, logit_bias=dict.fromkeys(banned, -100.0))
        one = sampler(params)
        assert one.sample(scores, 0) not in banned
        assert draw(one.adjusted(scores), SamplingParams(), point) not in banned


def test_a_bias_adds_to_the_logit() -> None:
    scores = np.array([1.0, 2.0], np.float32)
    biased = sampler(SamplingParams(logit_bias={0: 1.5})).adjusted(scores)
    assert biased.tolist() == [2.5, 2.0]


class Bits:
    """A mask that allows a fixed set, whatever was said."""

    def __init__(self, allowed: set[int], words: int) -> None:
        self._bits = np.zeros(words, np.uint32)
        for token in allowed:
            self._bits[token // 32] |= np.uint32(1 << token % 32)

    def bits(self) -> NDArray[np.uint32]:
        return self._bits

    def accept(self, token_id: int) -> None:
        pass

    def finished(self) -> bool:
        return False

    def fork(self) -> Bits:
        return self


@given(logits, st.data(), st.integers(0, 3))
def test_a_mask_is_never_violated(scores: Row, data: st.DataObject, extra_words: int) -> None:
    allowed = data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1))
    mask = Bits(allowed, -(-len(scores) // 32) + extra_words)
    for temperature in (0.0, 1.0, 10.0):
        params = SamplingParams(temperature=temperature, top_p=0.9, seed=3)
        one = Sampler(params, (), 0, mask)
        assert {one.sample(scores, step) for step in range(5)} <= allowed


def test_rows_beyond_the_mask_are_forbidden() -> None:
    """A network may have more rows than the tokenizer has ids."""
    scores = np.zeros(100, np.float32)
    one = Sampler(SamplingParams(seed=1), (), 0, Bits({5, 31}, 1))
    assert {one.sample(scores, step) for step in range(50)} == {5, 31}


def test_a_mask_without_any_token_is_an_error() -> None:
    one = Sampler(SamplingParams(), (), 0, Bits(set(), 4))
    with pytest.raises(GrammarError):
        one.sample(np.zeros(100, np.float32), 0)


@given(logits, st.integers(0, 20), st.data())
def test_logprobs_are_the_log_softmax_of_the_raw_row(
    scores: Row, alternatives: int, data: st.DataObject
) -> None:
    token = data.draw(st.integers(0, len(scores) - 1))
    scored = score(scores, token, alternatives)
    expected = np.log(softmax(scores, 1.0))
    assert scored.logprob == pytest.approx(expected[token], abs=1e-4)
    assert len(scored.top) == min(alternatives, len(scores))
    best = np.argsort(-scores, kind="stable")[:alternatives]
    assert [i for i, _ in scored.top] == best.tolist()
    assert [p for _, p in scored.top] == pytest.approx(expected[best].tolist(), abs=1e-4)


def test_huge_logits_stay_finite() -> None:
    scores = np.array([3e38, -3e38, 2.9e38, 0.0], np.float32)
    assert score(scores, 0, 4).logprob == 0.0
    for params in (SamplingParams(), SamplingParams(top_p=0.5), SamplingParams(top_k=2)):
        assert draw(scores, params, 0.999) == 0


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.floats(0.0, 1.0, exclude_max=True))
def test_a_vocabulary_of_128k_is_drawn_from_as_exactly(seed: int, point: float) -> None:
    """The two-level sum finds the same token as one long sum, up to rounding."""
    scores = np.random.default_rng(seed).normal(0, 2, 128_256).astype(np.float32)
    token = draw(scores, SamplingParams(), point)
    sums = np.cumsum(softmax(scores, 1.0))
    assert sums[token] >= point - 1e-5
    assert sums[token] - softmax(scores, 1.0)[token] <= point + 1e-5
