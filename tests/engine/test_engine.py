"""The engine over the scripted model: same answers alone, crowded, preempted, cut short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import Emission, Engine, Request, SamplingParams, TokenScore
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


def test_cancelled_answers_leave_their_neighbours_identical() -> None:
    rng = np.random.default_rng(1)
    model = ScriptedModel(kv_blocks=24)
    engine = Engine(model, small())
    outcomes: Outcomes = {}
    requests: dict[int, Request] = {}
    cancelled: set[int] = set()
    while len(cancelled) < 120 or not engine.idle:
        live = [i for i in requests if (i, 0) not in outcomes or not outcomes[i, 0].reason]
        while len(live) < 8 and len(cancelled) < 120:
            seed = len(requests)
            asked = request(seed, int(rng.integers(1, 150)), seed=seed, max_tokens=40)
            live.append(engine.submit(asked))
            requests[live[-1]] = asked
        if rng.random() < 0.3 and live and len(cancelled) < 120:
            victim = int(rng.choice(live))
            engine.cancel(victim)
            cancelled.add(victim)
        gather(engine.step(), outcomes)
    assert engine.cache.held == 0
    for number, asked in requests.items():
        outcome, expected = outcomes[number, 0], alone(asked)
        assert outcome.reason == ("cancelled" if number in cancelled else "length")
        assert outcome.tokens == expected[: len(outcome.tokens)]
        assert number in cancelled or len(outcome.tokens) == len(expected)


def test_cancelling_frees_the_blocks_at_once() -> None:
    engine = Engine(ScriptedModel(), small(max_batch_tokens=128, burst_steps=4))
    number = engine.submit(request(1, 100, max_tokens=50))
    for _ in range(5):
        engine.step()
    assert engine.cache.held > 0
    engine.cancel(number)
    assert engine.cache.held == 0
    assert [e.finish_reason for e in engine.step()] == ["cancelled"]
    assert engine.idle
    engine.cancel(number)
    engine.cancel(12345)
    assert engine.step() == []


def together(salts: list[str]) -> list[int]:
    """Submit prompts of 100 shared and 10 own tokens at once; how many each found computed."""
    engine = Engine(ScriptedModel(), small(max_batch_tokens=32))
    start = prompt(1, 100)
    asked = [
        Request((*start, *prompt(2 + i, 10)), SamplingParams(max_tokens=3), cache_salt=salt)
        for i, salt in enumerate(salts)
    ]
    outcomes = run(engine, asked)
    stats = [outcomes[i, 0].last.stats for i in range(len(asked))]
    return [-1 if one is None else one.cached_tokens for one in stats]


def test_requests_that_arrive_together_read_a_shared_start_once() -> None:
    first, *others = together(["", "", "", ""])
    assert first == 0
    assert all(cached >= 96 for cached in others)


def test_requests_under_different_salts_do_not_wait_for_each_other() -> None:
    assert together(["a", "b"]) == [0, 0]


def test_no_row_of_another_history_is_ever_read() -> None:
    """Prefix hits, copies, eviction, preemption, aborts and choices, all at random."""
    traffic = Traffic(seed=2, compare_every=3)
    traffic.run(2500)
    assert traffic.engine.cache.held == 0
    assert traffic.engine.scheduler.preemptions > 20
    assert traffic.model.rows_checked > 500_000
    assert traffic.compared > 30
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


def test_a_shared_prompt_is_computed_once() -> None:
    model = ScriptedModel()
    engine = Engine(model)
    run(engine, [request(1, 100, temperature=0.0, max_tokens=1)])
    rows = model.rows
    outcome = run(engine, [request(1, 100, temperature=0.0, max_tokens=1)])[1, 0]
    assert model.rows - rows == 1  # the last prompt token, whose logits are needed
    assert outcome.last.stats is not None
    assert outcome.last.stats.cached_tokens == 99


def test_a_dialog_reuses_the_answer_too_to_the_token() -> None:
    engine = Engine(ScriptedModel())
    first = request(1, 45, temperature=0.0, max_tokens=30)
    answer = run(engine, [first])[0, 0].tokens
    longer = Request((*first.prompt_ids, *answer, 1, 2, 3), first.params)
    outcome = run(engine, [longer])[1, 0]
    assert outcome.last.stats is not None
    assert outcome.last.stats.cached_tokens == 45 + 30 - 1  # the last token was never computed
    assert outcome.tokens == alone(longer)


def test_another_salt_finds_nothing() -> None:
    engine = Engine(ScriptedModel())
    asked = request(1, 100, temperature=0.0, max_tokens=1)
    cached = []
    for salt in ("a", "b", "a"):
        number = engine.submit(replace(asked, cache_salt=salt))
        outcomes: Outcomes = {}
        while not engine.idle:
            gather(engine.step(), outcomes)
        stats = outcomes[number, 0].last.stats
        assert stats is not None
        cached.append(stats.cached_tokens)
    assert cached == [0, 0, 99]


def test_choices_share_the_prompt_and_differ() -> None:
    model = ScriptedModel()
    outcomes = run(Engine(model), [request(1, 100, seed=1, max_tokens=10, n=8)])
    answers = {tuple(outcomes[0, index].tokens) for index in range(8)}
    assert len(answers) == 8
    assert model.rows == 100 + 7 + 8 * 9
    again = run(Engine(ScriptedModel()), [request(1, 100, seed=1, max_tokens=10, n=8)])
    assert {tuple(again[0, index].tokens) for index in range(8)} == answers


def test_one_choice_can_be_cancelled_before_and_after_it_started() -> None:
    engine = Engine(ScriptedModel(), small())
    asked = request(1, 100, seed=1, max_tokens=10, n=4)
    number = engine.submit(asked)
    outcomes: Outcomes = {}
    engine.cancel(number, 2)
    gather(engine.step(), outcomes)
    engine.cancel(number, 0)
    while not engine.idle:
        gather(engine.step(), outcomes)
    assert [outcomes[0, i].reason for i in range(4)] == [
        "cancelled",
        "length",
        "cancelled",
        "length",
    ]
    assert engine.cache.held == 0


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
