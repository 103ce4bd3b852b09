"""Many steps in one call: the same answers as one at a time, cut where they are to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from puna.engine import Engine, EngineSettings, Request, SamplingParams
from puna.errors import EngineError, NumericError
from puna.formats.checkpoint import open_checkpoint
from puna.model.llama import Llama
from tests.engine.scripted import (
    Outcomes,
    ScriptedModel,
    alone,
    gather,
    prompt,
    request,
    run,
    small,
)
from tests.engine.test_engine import OnlyMask
from tests.tiny import TinyLlama


def single(**settings: int) -> EngineSettings:
    return small(burst_steps=1, lookup_sequences=0, **settings)


def guessing(**settings: int) -> EngineSettings:
    return small(burst_steps=32, lookup_sequences=8, **settings)


class StopAfter:
    """Ends an answer at the n-th token out of a set, as a stop string would."""

    def __init__(self, ids: frozenset[int], count: int) -> None:
        self.ids, self.count = ids, count

    def push(self, token_id: int) -> bool:
        self.count -= token_id in self.ids
        return self.count == 0

    def fresh(self) -> StopAfter:
        return StopAfter(self.ids, self.count)


def mixed_requests() -> list[Request]:
    """Every way to end, long and short, greedy and drawn, prompts that repeat themselves."""
    rng = np.random.default_rng(5)
    requests = []
    for seed in range(40):
        part = prompt(seed, int(rng.integers(3, 40)))
        params = SamplingParams(
            seed=seed,
            temperature=float(rng.choice([0.0, 0.2, 1.0])),
            max_tokens=int(rng.integers(1, 90)),
            n=int(rng.integers(1, 3)),
        )
        stop_ids = frozenset(rng.integers(0, 97, int(rng.integers(0, 3))).tolist())
        check = StopAfter(frozenset(range(0, 97, 9)), int(rng.integers(1, 9)))
        requests.append(
            Request(
                (part * 3)[: int(rng.integers(1, 100))],
                params,
                stop_ids=stop_ids,
                stop_check=check if seed % 3 == 0 else None,
            )
        )
    return requests


def answers(outcomes: Outcomes) -> dict[tuple[int, int], tuple[list[int], str | None, int | None]]:
    return {
        key: (outcome.tokens, outcome.reason, outcome.last.stop_token_id)
        for key, outcome in outcomes.items()
    }


@pytest.mark.parametrize("kv_blocks", [64, 12], ids=["roomy", "preempting"])
def test_answers_do_not_depend_on_bursts_and_guesses(kv_blocks: int) -> None:
    model = ScriptedModel(kv_blocks=kv_blocks, context_tokens=380)
    plain, guessed = (Engine(model, settings) for settings in (single(), guessing()))
    expected = run(plain, mixed_requests())
    found = run(guessed, mixed_requests())
    assert answers(found) == answers(expected)
    assert guessed.cache.held == 0
    assert guessed.load().drafted_tokens > 100
    assert plain.load().drafted_tokens == 0
    assert kv_blocks > 20 or guessed.scheduler.preemptions > 0
    for key, outcome in found.items():
        stats, meant = outcome.last.stats, expected[key].last.stats
        assert stats is not None
        assert meant is not None
        assert stats.completion_tokens == meant.completion_tokens


def test_the_end_of_the_context_is_met_exactly() -> None:
    for length in (1, 31, 32, 33, 62, 63):
        engine = Engine(ScriptedModel(context_tokens=64, kv_blocks=2), guessing())
        outcome = run(engine, [request(length, length, temperature=0.0)])[0, 0]
        assert len(outcome.tokens) == 64 - length
        assert outcome.reason == "length"


def test_tokens_after_a_stop_string_are_dropped_and_nobody_finds_them_in_the_cache() -> None:
    asked = request(1, 40, temperature=0.0, max_tokens=80)
    full = alone(asked)
    stopped = replace(asked, stop_check=StopAfter(frozenset({full[9]}), 1))
    kept = full[: full.index(full[9]) + 1]
    model = ScriptedModel()
    engine = Engine(model, guessing())
    outcome = run(engine, [stopped])[0, 0]
    assert (outcome.tokens, outcome.reason) == (kept, "stop")
    assert model.rows > 40 + len(kept)  # it did go on
    again = Request((*asked.prompt_ids, *full), SamplingParams(max_tokens=1, temperature=0.0))
    stats = run(engine, [again])[1, 0].last.stats
    assert stats is not None
    assert stats.cached_tokens == 40 + len(kept) - 1  # the last was never fed


class Failing(StopAfter):
    """A check that breaks instead of ending the answer."""

    def push(self, token_id: int) -> bool:
        if super().push(token_id):
            raise RuntimeError("broken check")
        return False

    def fresh(self) -> Failing:
        return Failing(self.ids, self.count)


def test_a_stop_check_that_breaks_in_a_burst_ends_its_own_answer_alone() -> None:
    bad = replace(request(1, 20, max_tokens=60), stop_check=Failing(frozenset(range(97)), 12))
    good = request(2, 20, seed=2, max_tokens=60)
    engine = Engine(ScriptedModel(), guessing())
    outcomes = run(engine, [bad, good])
    assert isinstance(outcomes[0, 0].last.error, EngineError)
    assert len(outcomes[0, 0].tokens) == 11
    assert outcomes[1, 0].tokens == alone(good)
    assert engine.cache.held == 0


def test_one_cancelled_between_bursts_leaves_its_neighbours_identical() -> None:
    requests = [request(i, 20 + i, seed=i, max_tokens=100) for i in range(5)]
    engine = Engine(ScriptedModel(), small(burst_steps=7))
    outcomes: Outcomes = {}
    for asked in requests:
        engine.submit(asked)
    for step in range(6):
        gather(engine.step(), outcomes)
        if step == 4:
            engine.cancel(2)
    while not engine.idle:
        gather(engine.step(), outcomes)
    assert outcomes[2, 0].reason == "cancelled"
    for number, asked in enumerate(requests):
        meant = alone(asked)
        assert outcomes[number, 0].tokens == meant[: len(outcomes[number, 0].tokens)]
        assert number == 2 or len(outcomes[number, 0].tokens) == 100


def test_nan_in_the_middle_of_a_burst_ends_one_answer_and_is_forgotten() -> None:
    asked = [request(i, 30, seed=i, max_tokens=60) for i in range(4)]
    said = [alone(one) for one in asked]
    elsewhere = {t for i in (0, 2, 3) for t in (*asked[i].prompt_ids, *said[i])}
    elsewhere.update(asked[1].prompt_ids, said[1][:3])
    poison = next((token for token in said[1] if token not in elsewhere), None)
    if poison is None:  # none of the 97 is left: let the others avoid one
        poison = next(token for token in said[1][3:] if token not in asked[1].prompt_ids)
        asked = [
            one
            if i == 1
            else replace(
                one,
                prompt_ids=tuple(t if t != poison else 0 for t in one.prompt_ids),
                params=replace(one.params, logit_bias={poison: -100.0}),
            )
            for i, one in enumerate(asked)
        ]
    engine = Engine(ScriptedModel(poison=frozenset({poison})), guessing())
    outcomes = run(engine, asked)
    assert isinstance(outcomes[1, 0].last.error, NumericError)
    assert outcomes[1, 0].tokens == said[1][: said[1].index(poison) + 1]
    for number in (0, 2, 3):
        assert outcomes[number, 0].tokens == alone(asked[number])
    assert engine.cache.held == 0


def test_a_masked_answer_beside_plain_ones_changes_nobody() -> None:
    masked = Request(
        prompt(9, 20), SamplingParams(seed=1, max_tokens=30), mask=OnlyMask((3, 4), 25)
    )
    requests = [masked, *(request(i, 30, seed=i, max_tokens=60) for i in range(3))]
    outcomes = run(Engine(ScriptedModel(), guessing()), requests)
    assert outcomes[0, 0].tokens == alone(masked)
    for number, asked in enumerate(requests[1:], 1):
        assert outcomes[number, 0].tokens == alone(asked)


def test_who_waits_gets_the_place_of_whoever_ends_first() -> None:
    model = ScriptedModel()
    engine = Engine(model, small(max_sequences=2, burst_steps=32))
    engine.submit(request(1, 10, temperature=0.0, max_tokens=6))
    engine.submit(request(2, 10, temperature=0.0, max_tokens=100))
    late = engine.submit(request(3, 10, temperature=0.0, max_tokens=5))
    while not any(e.request_id == late for e in engine.step()):
        pass
    assert model.steps <= 1 + 5 + 1


def test_logprobs_and_penalties_go_step_by_step() -> None:
    for params in ({"logprobs": 2}, {"presence_penalty": 0.5}, {"logit_bias": {3: 1.0}}):
        engine = Engine(ScriptedModel(), guessing())
        engine.submit(request(1, 10, temperature=0.0, max_tokens=50, **params))
        engine.step()
        assert len([e for e in engine.step() if e.token_id is not None]) == 1


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyLlama(seed=4).write_gguf(tmp_path_factory.mktemp("burst") / "tiny.gguf")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_a_real_network_says_the_same_with_bursts_and_guesses(
    path: Path, threads: int, temperature: float
) -> None:
    found = []
    for settings in (
        EngineSettings(burst_steps=1, lookup_sequences=0),
        EngineSettings(),
        EngineSettings(burst_ms=1, lookup_sequences=64),
    ):
        with open_checkpoint(path) as checkpoint:
            llama = Llama.from_checkpoint(checkpoint, kv_blocks=64, threads=threads)
        engine = Engine(llama, settings)
        requests = [
            request(i, 20 + 7 * i, seed=i, temperature=temperature, max_tokens=80) for i in range(9)
        ]
        requests = [replace(one, prompt_ids=(one.prompt_ids * 2)) for one in requests]
        found.append(answers(run(engine, requests[:2])) | answers(run(engine, requests)))
        llama.close()
    assert found[1] == found[0]
    assert found[2] == found[0]
