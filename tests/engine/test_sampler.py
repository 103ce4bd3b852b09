"""The sampler against exact probabilities, written out the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from puna.engine.logprobs import score
from puna.engine.request import SamplingParams
from puna.engine.sampler import Sampler
from puna.errors import GrammarError
from puna.kernels.sampling import sample_rows

Row = NDArray[np.float32]

logits = arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.floats(-30, 30, width=32, allow_nan=False),
)


def said(one: Sampler, scores: Row, step: int) -> int:
    """Return what the choice says at `step`."""
    return int(sample_rows(one.adjusted(scores)[None], one.draw(step))[0])


def log_softmax(scores: Row) -> NDArray[np.float64]:
    exact = scores.astype(np.float64) - float(scores.max())
    return np.asarray(exact - np.log(np.exp(exact).sum()))


def sampler(params: SamplingParams, prompt: tuple[int, ...] = ()) -> Sampler:
    return Sampler(params, prompt, 0, None)


@given(logits)
def test_greedy_takes_the_first_of_the_best_without_touching_the_row(scores: Row) -> None:
    before = scores.copy()
    scores.setflags(write=False)
    assert said(sampler(SamplingParams(temperature=0.0)), scores, 0) == int(scores.argmax())
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
        one.accept(said(one, scores, step))


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


@given(logits, st.data())
def test_a_bias_of_minus_100_is_never_sampled(scores: Row, data: st.DataObject) -> None:
    ids = st.lists(st.integers(0, len(scores) - 1), max_size=len(scores) - 1, unique=True)
    banned = data.draw(ids) if len(scores) > 1 else []
    scores[banned] += 200  # even where the model insists
    for temperature in (0.0, 10.0):
        params = SamplingParams(temperature=temperature, logit_bias=dict.fromkeys(banned, -100.0))
        one = sampler(params)
        assert {said(one, scores, step) for step in range(9)}.isdisjoint(banned)


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
        assert {said(one, scores, step) for step in range(5)} <= allowed


def test_rows_beyond_the_mask_are_forbidden() -> None:
    """A network may have more rows than the tokenizer has ids."""
    scores = np.zeros(100, np.float32)
    one = Sampler(SamplingParams(seed=1), (), 0, Bits({5, 31}, 1))
    assert {said(one, scores, step) for step in range(50)} == {5, 31}


def test_a_mask_without_any_token_is_an_error() -> None:
    one = Sampler(SamplingParams(), (), 0, Bits(set(), 4))
    with pytest.raises(GrammarError):
        said(one, np.zeros(100, np.float32), 0)


@given(logits, st.integers(0, 20), st.data())
def test_logprobs_are_the_log_softmax_of_the_raw_row(
    scores: Row, alternatives: int, data: st.DataObject
) -> None:
    token = data.draw(st.integers(0, len(scores) - 1))
    scored = score(scores, token, alternatives)
    expected = log_softmax(scores)
    assert scored.logprob == pytest.approx(expected[token], abs=1e-4)
    assert len(scored.top) == min(alternatives, len(scores))
    best = np.argsort(-scores, kind="stable")[:alternatives]
    assert [i for i, _ in scored.top] == best.tolist()
    assert [p for _, p in scored.top] == pytest.approx(expected[best].tolist(), abs=1e-4)


def test_huge_logits_stay_finite() -> None:
    scores = np.array([3e38, -3e38, 2.9e38, 0.0], np.float32)
    assert score(scores, 0, 4).logprob == 0.0
