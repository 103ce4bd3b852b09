"""Cancelling: blocks are free at once, and nobody else notices."""

from __future__ import annotations

import numpy as np

from puna.engine import Engine, Request
from tests.engine.scripted import Outcomes, ScriptedModel, alone, gather, request, small


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
