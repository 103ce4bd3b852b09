"""Scores of tokens: the model's own, whatever the sampling, the cutting and the company."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import Emission, Engine, TokenScore
from tests.engine.scripted import ScriptedModel, logits_after, request, run, small


def test_logprobs_are_those_of_the_model_whatever_the_sampling() -> None:
    for params in ({"temperature": 0.0}, {"temperature": 0.2, "top_k": 3, "seed": 1}):
        asked = request(4, 20, max_tokens=12, logprobs=5, **params)
        outcome = run(Engine(ScriptedModel()), [asked])[0, 0]
        scores = [e.score for e in outcome.emissions if e.token_id is not None]
        history = request(4, 20).prompt_ids
        for token, scored in zip(outcome.tokens, scores, strict=True):
            assert scored is not None
            expected = _logprobs(history)
            assert scored.token_id == token
            assert scored.logprob == pytest.approx(expected[token], abs=1e-5)
            best = np.argsort(-expected, kind="stable")[:5]
            assert [i for i, _ in scored.top] == best.tolist()
            assert [p for _, p in scored.top] == pytest.approx(expected[best].tolist(), abs=1e-5)
            history = (*history, token)


def _logprobs(history: tuple[int, ...]) -> NDArray[np.float64]:
    logits = logits_after(history).astype(np.float64)
    return np.asarray(logits - np.log(np.exp(logits).sum()))


@pytest.mark.parametrize("warm", [False, True])
def test_prompt_logprobs_cover_every_token_but_the_first(warm: bool) -> None:
    model = ScriptedModel()
    engine = Engine(model, small(max_logits_bytes=4 * 97 * 10))
    asked = request(9, 150, max_tokens=0, prompt_logprobs=3)
    if warm:
        run(engine, [request(9, 150, max_tokens=1)])
    outcome = run(engine, [asked])[int(warm), 0]
    scores = [score for emission in outcome.emissions for score in emission.prompt_scores]
    assert [score.token_id for score in scores] == list(asked.prompt_ids[1:])
    assert all(len(score.top) == 3 for score in scores)
    assert model.largest_outputs <= 10
    assert outcome.reason == "length"
    assert outcome.tokens == []
    assert engine.cache.held == 0


def test_prompt_logprobs_are_the_same_after_preemption() -> None:
    asked = request(9, 200, max_tokens=30, prompt_logprobs=2, seed=3)
    calm = run(Engine(ScriptedModel()), [asked])[0, 0]
    engine = Engine(ScriptedModel(kv_blocks=9), small())
    others = [request(i, 20, seed=i, max_tokens=120) for i in range(3)]
    crowded = run(engine, [*others, asked])[3, 0]
    assert engine.scheduler.preemptions > 0
    assert crowded.tokens == calm.tokens
    assert _prompt_scores(crowded.emissions) == _prompt_scores(calm.emissions)


def _prompt_scores(emissions: list[Emission]) -> list[TokenScore]:
    return [score for emission in emissions for score in emission.prompt_scores]
