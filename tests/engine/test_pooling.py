"""Embeddings in the engine: the same vector alone, crowded, cut up, preempted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import Engine, Request
from puna.engine.pooling import Pool, Pooling, check_pooling
from puna.errors import ContextOverflowError, InvalidParameterError, NumericError
from tests.engine.scripted import (
    HIDDEN,
    Outcomes,
    ScriptedModel,
    alone,
    gather,
    logits_after,
    prompt,
    request,
    run,
    small,
)


def embedding(seed: int, length: int, pooling: Pooling = "mean") -> Request:
    return Request(prompt(seed, length), pooling=pooling)


def vector(outcomes: Outcomes, request_id: int = 0) -> NDArray[np.float32]:
    last = outcomes[request_id, 0].last
    assert last.finish_reason == "stop"
    assert last.embedding is not None
    return last.embedding


def expected(asked: Request) -> NDArray[np.float32]:
    ids = asked.prompt_ids
    ends = range(1, len(ids) + 1) if asked.pooling == "mean" else [len(ids)]
    rows = [logits_after(ids[:end])[:HIDDEN] for end in ends]
    mean: NDArray[np.float32] = np.stack(rows).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_vector_is_the_mean_or_the_last_of_the_prompts_rows(pooling: Pooling) -> None:
    asked = embedding(1, 70, pooling)
    outcomes = run(Engine(ScriptedModel()), [asked])
    np.testing.assert_allclose(vector(outcomes), expected(asked), atol=1e-7)
    stats = outcomes[0, 0].last.stats
    assert stats is not None
    assert (stats.prompt_tokens, stats.completion_tokens) == (70, 0)
    assert outcomes[0, 0].tokens == []


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_it_is_the_same_bit_for_bit_however_the_prompt_is_cut(pooling: Pooling) -> None:
    asked = embedding(3, 200, pooling)
    vectors = {
        vector(run(Engine(ScriptedModel(), small(max_batch_tokens=size)), [asked])).tobytes()
        for size in (8, 31, 33, 64, 400)
    }
    assert len(vectors) == 1


def test_embeddings_and_answers_side_by_side_are_what_they_are_alone() -> None:
    several = [embedding(i, 20 + 9 * i, "last" if i % 2 else "mean") for i in range(6)]
    answers = [request(i, 30, seed=i, max_tokens=20) for i in range(6)]
    both = [asked for pair in zip(several, answers, strict=True) for asked in pair]
    outcomes = run(Engine(ScriptedModel(), small()), both)
    for number, asked in enumerate(both):
        if asked.pooling:
            only = vector(run(Engine(ScriptedModel()), [asked]))
            assert vector(outcomes, number).tobytes() == only.tobytes()
        else:
            assert outcomes[number, 0].tokens == alone(asked)


def test_a_preempted_embedding_goes_on_from_the_rows_that_it_has() -> None:
    model = ScriptedModel(kv_blocks=7)
    engine = Engine(model, small(max_batch_tokens=16, prefill_beside_decode_tokens=2))
    asked = [request(1, 30, seed=1, max_tokens=150), embedding(2, 150), embedding(3, 90, "last")]
    outcomes = run(engine, asked)
    assert engine.scheduler.preemptions > 0
    for number in (1, 2):
        only = vector(run(Engine(ScriptedModel()), [asked[number]]))
        assert vector(outcomes, number).tobytes() == only.tobytes()
    assert engine.load().held_blocks == 0


def test_a_second_asking_after_the_last_row_reuses_the_cache_and_a_mean_never_does() -> None:
    engine = Engine(ScriptedModel())
    first = vector(run(engine, [embedding(1, 100, "last")]))
    for number, (pooling, cached) in enumerate((("last", 99), ("mean", 0)), 1):
        outcomes: Outcomes = {}
        engine.submit(Request(prompt(1, 100), pooling=pooling))  # type: ignore[arg-type]
        while not engine.idle:
            gather(engine.step(), outcomes)
        stats = outcomes[number, 0].last.stats
        assert stats is not None
        assert stats.cached_tokens == cached
        if pooling == "last":
            assert vector(outcomes, number).tobytes() == first.tobytes()


def test_a_prompt_as_long_as_the_context_fits_and_a_longer_one_does_not() -> None:
    engine = Engine(ScriptedModel(context_tokens=64))
    vector(run(engine, [embedding(1, 64)]))
    with pytest.raises(ContextOverflowError):
        engine.submit(embedding(1, 65))


def test_nan_ends_one_embedding_and_no_other() -> None:
    bad = prompt(1, 40)[20]
    clean = Request(tuple(token for token in prompt(2, 60) if token != bad), pooling="mean")
    outcomes = run(Engine(ScriptedModel(poison=frozenset({bad}))), [embedding(1, 40), clean])
    assert isinstance(outcomes[0, 0].last.error, NumericError)
    assert np.isfinite(vector(outcomes, 1)).all()


def test_cancelling_frees_the_blocks() -> None:
    engine = Engine(ScriptedModel(), small(max_batch_tokens=16))
    request_id = engine.submit(embedding(1, 200))
    engine.step()
    assert engine.load().held_blocks > 0
    engine.cancel(request_id)
    assert engine.load().held_blocks == 0


def test_no_step_of_an_embedding_asks_for_logits() -> None:
    class Mute(ScriptedModel):
        def hidden(self, batch: object) -> NDArray[np.float32]:
            return ScriptedModel.forward(self, batch)[:, :HIDDEN]  # type: ignore[arg-type]

        def forward(self, batch: object) -> NDArray[np.float32]:
            raise AssertionError("logits")

    vector(run(Engine(Mute(), small()), [embedding(1, 200)]))


def test_a_pool_gives_the_same_sum_for_every_cut() -> None:
    rows = np.random.default_rng(1).standard_normal((12, 5), dtype=np.float32) * 1e4
    vectors = set()
    for cuts in itertools.combinations(range(1, 12), 2):
        pool = Pool("mean", 12)
        for part in np.split(rows, cuts):
            pool.add(part)
        assert pool.complete
        vectors.add(pool.vector().tobytes())
    assert len(vectors) == 1


def test_an_unknown_pooling_is_named() -> None:
    with pytest.raises(InvalidParameterError, match="'mean' or 'last'"):
        check_pooling("max")
