"""The engine over the scripted model: same answers alone, crowded, preempted, cut short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import Engine, Request, SamplingParams
from puna.errors import (
    ContextOverflowError,
    EngineError,
    GrammarError,
    InvalidParameterError,
    NumericError,
)
from puna.kernels.batch import Batch
from tests.engine.canary import Traffic
from tests.engine.scripted import (
    ForeignRowError,
    ScriptedModel,
    alone,
    prompt,
    request,
    run,
    small,
)


def test_greedy_answer_has_max_tokens_tokens_and_ends_for_length() -> None:
    outcome = run(Engine(ScriptedModel()), [request(1, 10, temperature=0.0, max_tokens=7)])[0, 0]
    assert len(outcome.tokens) == 7
    assert outcome.reason == "length"
    assert outcome.last.stats is not None
    assert outcome.last.stats.prompt_tokens == 10
    assert outcome.last.stats.completion_tokens == 7


def test_without_max_tokens_the_answer_fills_the_context_exactly() -> None:
    model = ScriptedModel(context_tokens=64)
    outcome = run(Engine(model), [request(1, 50, temperature=0.0)])[0, 0]
    assert len(outcome.tokens) == 14
    assert outcome.reason == "length"


def test_answer_is_the_same_however_the_prompt_is_cut() -> None:
    asked = request(3, 200, seed=5, max_tokens=20)
    answers = {
        tuple(run(Engine(ScriptedModel(), small(max_batch_tokens=size)), [asked])[0, 0].tokens)
        for size in (8, 31, 33, 64, 400)
    }
    assert answers == {tuple(alone(asked))}


def test_same_seed_gives_the_same_answer_beside_others() -> None:
    asked = request(7, 40, seed=11, temperature=1.3, max_tokens=30)
    others = [request(100 + i, 5 + 13 * i, seed=i, max_tokens=25) for i in range(6)]
    crowded = run(Engine(ScriptedModel(), small()), [*others, asked])[6, 0].tokens
    assert crowded == alone(asked)
    assert crowded != alone(replace(asked, params=replace(asked.params, seed=12)))


def test_a_stop_token_ends_the_answer_and_is_no_part_of_it() -> None:
    full = alone(request(2, 20, temperature=0.0, max_tokens=40))
    stop = full[10]
    first = full.index(stop)
    params = SamplingParams(temperature=0.0, max_tokens=40)
    outcome = run(
        Engine(ScriptedModel()), [Request(prompt(2, 20), params, stop_ids=frozenset({stop}))]
    )[0, 0]
    assert outcome.tokens == full[:first]
    assert outcome.reason == "stop"
    assert outcome.last.stop_token_id == stop
    assert outcome.last.stats is not None
    assert outcome.last.stats.completion_tokens == first + 1


def test_ignore_eos_ignores_the_models_stop_ids_but_not_the_requests() -> None:
    full = alone(request(2, 20, temperature=0.0, max_tokens=40))
    ignoring = SamplingParams(temperature=0.0, max_tokens=40, ignore_eos=True)
    asked = Request(prompt(2, 20), ignoring, stop_ids=frozenset({full[3]}))
    assert alone(asked) == full
    own = replace(ignoring, stop_token_ids=(full[3],))
    assert alone(replace(asked, params=own)) == full[: full.index(full[3])]


@pytest.mark.parametrize("extra", [1, 2, 1000])
def test_what_cannot_fit_the_context_is_refused_with_both_numbers(extra: int) -> None:
    engine = Engine(ScriptedModel(context_tokens=64))
    with pytest.raises(ContextOverflowError) as caught:
        engine.submit(request(1, 30, max_tokens=34 + extra))
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (30, 64)
    with pytest.raises(ContextOverflowError):
        engine.submit(request(1, 63 + extra))
    assert engine.idle


def test_what_fits_to_the_last_token_is_answered() -> None:
    engine = Engine(ScriptedModel(context_tokens=64, kv_blocks=2))
    assert len(run(engine, [request(1, 30, max_tokens=34)])[0, 0].tokens) == 34
    assert len(run(engine, [request(1, 63)])[1, 0].tokens) == 1


def test_a_pool_smaller_than_the_context_is_the_limit() -> None:
    engine = Engine(ScriptedModel(context_tokens=512, kv_blocks=3))
    assert engine.context_tokens == 96
    with pytest.raises(ContextOverflowError):
        engine.submit(request(1, 90, max_tokens=7))


@pytest.mark.parametrize(
    "bad",
    [
        Request(()),
        Request((97,)),
        Request((-1,)),
        Request((2**31,)),
        Request((1, True)),
        Request((1.0,)),  # type: ignore[arg-type]
        Request((1,), SamplingParams(logit_bias={97: 1.0})),
        Request((1,), SamplingParams(stop_token_ids=(97,))),
        Request((1,), SamplingParams(logit_bias=dict.fromkeys(range(97), -100.0))),
    ],
)
def test_ids_out_of_vocabulary_are_refused_at_submit(bad: Request) -> None:
    engine = Engine(ScriptedModel())
    with pytest.raises(InvalidParameterError):
        engine.submit(bad)
    assert engine.idle


def test_offered_four_times_the_pool_everything_is_answered_as_alone() -> None:
    model = ScriptedModel(kv_blocks=12, context_tokens=384)
    engine = Engine(model, small())
    rng = np.random.default_rng(0)
    requests, offered = [], 0
    while offered < 4 * 12 * 32 * 3:  # three times over, so that every queue order occurs
        length, tokens = int(rng.integers(1, 250)), int(rng.integers(1, 120))
        requests.append(request(offered, length, seed=offered, max_tokens=tokens))
        offered += length + tokens
    outcomes = run(engine, requests)
    assert engine.scheduler.preemptions > 0
    assert engine.cache.held == 0
    for number, asked in enumerate(requests):
        assert outcomes[number, 0].reason == "length"
        assert outcomes[number, 0].tokens == alone(asked)


def test_no_row_of_another_history_is_ever_read() -> None:
    """Prefix hits, copies, eviction, preemption, aborts and choices, all at random.

    `make soak` has a hundred times as many.
    """
    traffic = Traffic(seed=2, compare_every=3)
    traffic.run(1000)
    assert traffic.engine.cache.held == 0
    assert traffic.engine.scheduler.preemptions > 8
    assert traffic.model.rows_checked > 200_000
    assert traffic.compared > 12
    assert traffic.different == 0


def test_the_scripted_model_does_catch_a_foreign_row() -> None:
    """Two sequences over one block: the canary must sing."""

    def one(token: int, position: int) -> Batch:
        return Batch(
            *(
                np.array(v, np.int32)
                for v in ([token], [position], [0, 1], [position + 1], [[0]], [0])
            )
        )

    model = ScriptedModel()
    model.forward(one(5, 0))
    model.forward(one(6, 1))
    model.forward(one(7, 0))
    with pytest.raises(ForeignRowError):
        model.forward(one(8, 2))


def test_nan_ends_its_own_request_alone_and_leaves_no_trace_in_the_cache() -> None:
    poison = 96
    clean = [request(i, 60, seed=i, max_tokens=20) for i in range(5)]
    clean = [
        replace(
            r,
            prompt_ids=tuple(t % 96 for t in r.prompt_ids),
            params=replace(r.params, logit_bias={poison: -100.0}),
        )
        for r in clean
    ]
    bad = replace(clean[0], prompt_ids=(*clean[0].prompt_ids[:40], poison, 5))
    engine = Engine(ScriptedModel(poison=frozenset({poison})), small())
    outcomes = run(engine, [*clean[:3], bad, *clean[3:]])
    assert outcomes[3, 0].reason == "error"
    assert isinstance(outcomes[3, 0].last.error, NumericError)
    for number, asked in zip((0, 1, 2, 4, 5), clean, strict=True):
        assert outcomes[number, 0].tokens == alone(asked)
    assert engine.cache.held == 0
    rerun = run(engine, [bad])[6, 0]
    assert rerun.last.stats is not None
    assert rerun.last.stats.cached_tokens <= 40


def test_progress_of_a_long_prompt_is_reported() -> None:
    engine = Engine(ScriptedModel(), small())
    outcome = run(engine, [request(1, 130, max_tokens=2)])[0, 0]
    reports = [e.prefilled_tokens for e in outcome.emissions if e.prefilled_tokens is not None]
    assert reports == [48, 96, 130]


def test_after_a_failed_step_everyone_is_told_and_the_engine_serves_again() -> None:
    asked = [request(i, 50, seed=i, max_tokens=20, n=2) for i in range(3)]
    engine = Engine(ScriptedModel(), small())
    for one in asked:
        engine.submit(one)
    engine.step()
    emissions = engine.fail(EngineError("broken"))
    ended = {(e.request_id, e.index) for e in emissions if e.finish_reason == "error"}
    assert ended == {(i, j) for i in range(3) for j in range(2)}
    assert engine.idle
    assert engine.cache.held == 0
    assert run(engine, [asked[0]])[3, 0].tokens == alone(asked[0])


class OnlyMask:
    """Allows one token for a number of tokens, then is finished."""

    def __init__(self, allowed: tuple[int, ...], left: int) -> None:
        self.allowed, self.left = allowed, left

    def bits(self) -> NDArray[np.uint32]:
        bits = np.zeros(4, np.uint32)
        for token in self.allowed:
            bits[token // 32] |= np.uint32(1 << token % 32)
        return bits

    def accept(self, token_id: int) -> None:
        assert token_id in self.allowed
        self.left -= 1

    def finished(self) -> bool:
        return self.left == 0

    def fork(self) -> OnlyMask:
        return OnlyMask(self.allowed, self.left)


def test_a_mask_is_never_violated_and_ends_the_answer_when_it_is_finished() -> None:
    params = SamplingParams(n=3, seed=1, max_tokens=50)
    asked = Request(prompt(1, 20), params, mask=OnlyMask((3, 40, 96), 9))
    outcomes = run(Engine(ScriptedModel()), [asked])
    for index in range(3):
        assert len(outcomes[0, index].tokens) == 9
        assert set(outcomes[0, index].tokens) <= {3, 40, 96}
        assert outcomes[0, index].reason == "stop"


def test_a_mask_that_the_bans_contradict_is_an_error_never_a_free_answer() -> None:
    params = SamplingParams(logit_bias={3: -100.0})
    asked = Request(prompt(1, 20), params, mask=OnlyMask((3,), 9))
    outcome = run(Engine(ScriptedModel()), [asked])[0, 0]
    assert outcome.tokens == []
    assert isinstance(outcome.last.error, GrammarError)


def test_timings_follow_the_clock() -> None:
    ticks = iter(range(1000))
    engine = Engine(ScriptedModel(), clock=lambda: float(next(ticks)))
    stats = run(engine, [request(1, 10, max_tokens=3)])[0, 0].last.stats
    assert stats is not None
    assert stats.queued_s > 0
    assert stats.prefill_s > 0
    assert stats.decode_s > 0
