"""Tenants share the engine by what they are served; nobody waits for another's whole queue."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from puna.engine import Engine, Request, SamplingParams
from puna.engine.cache import KVCache
from puna.engine.fairness import ANSWER_WEIGHT, Line, Shares
from puna.engine.scheduler import Scheduler
from puna.engine.sequence import Sequence
from tests.engine.scripted import Outcomes, ScriptedModel, alone, gather, prompt, request, small


def of(tenant: str, number: int, length: int = 20, priority: int = 0, **params: int) -> Request:
    asked = request(number, length, seed=number, **params)
    return replace(asked, tenant=tenant, priority=priority)


def sequence(tenant: str, number: int, length: int = 20, priority: int = 0) -> Sequence:
    return Sequence(number, 0, of(tenant, number, length, priority), 100, 0.0)


def steps_until_first_token(engine: Engine, number: int, most: int = 500) -> int:
    for step in range(1, most):
        if any(e.request_id == number and e.token_id is not None for e in engine.step()):
            return step
    raise AssertionError(f"no token in {most} steps")


@pytest.mark.parametrize("burst_steps", [1, 4])
def test_a_short_request_does_not_wait_for_anothers_200_long_ones(burst_steps: int) -> None:
    engine = Engine(ScriptedModel(kv_blocks=200), small(burst_steps=burst_steps))
    crowd = [of("crowd", i, 150, max_tokens=200) for i in range(200)]
    numbers = [engine.submit(asked) for asked in crowd]
    for _ in range(60):
        engine.step()
    assert engine.scheduler.running == engine.settings.max_sequences
    late = of("late", 1000, 10, max_tokens=5)
    number = engine.submit(late)
    assert steps_until_first_token(engine, number) <= 3
    outcomes: Outcomes = {}
    while (number, 0) not in outcomes or not outcomes[number, 0].reason:
        gather(engine.step(), outcomes)
    assert outcomes[number, 0].tokens == alone(late)[1:]  # the first came before
    for other in numbers:
        engine.cancel(other)
    assert engine.cache.held == 0


def test_a_crowd_that_had_to_give_way_says_what_it_would_have_said() -> None:
    engine = Engine(ScriptedModel(kv_blocks=40), small(max_sequences=4))
    crowd = [of("crowd", i, 60, max_tokens=40) for i in range(12)]
    outcomes: Outcomes = {}
    for asked in crowd:
        engine.submit(asked)
    for late in range(12, 24):
        for _ in range(5):
            gather(engine.step(), outcomes)
        crowd.append(of(f"late {late}", late, 30, max_tokens=20))
        engine.submit(crowd[-1])
    while not engine.idle:
        gather(engine.step(), outcomes)
    assert engine.scheduler.preemptions > 0
    assert engine.cache.held == 0
    for number, asked in enumerate(crowd):
        assert outcomes[number, 0].tokens == alone(asked)


def said_by(engine: Engine, tenants: dict[int, str], steps: int) -> Counter[str]:
    said: Counter[str] = Counter()
    for _ in range(steps):
        said.update(tenants[e.request_id] for e in engine.step() if e.token_id is not None)
    return said


def test_two_tenants_that_both_ask_for_all_get_half_each() -> None:
    engine = Engine(ScriptedModel(kv_blocks=200), small(burst_steps=1))
    tenants = {}
    for i in range(300):  # one asks six times as often
        tenant = "seldom" if i % 7 == 0 else "often"
        tenants[engine.submit(of(tenant, i, 20, max_tokens=30))] = tenant
    said = said_by(engine, tenants, 150)
    assert 0.8 < said["often"] / said["seldom"] < 1.25


def test_absence_earns_no_credit() -> None:
    engine = Engine(ScriptedModel(kv_blocks=200), small(burst_steps=1))
    tenants = {engine.submit(of("here", i, 20, max_tokens=30)): "here" for i in range(400)}
    said_by(engine, tenants, 200)
    for i in range(100):
        tenants[engine.submit(of("back", 1000 + i, 20, max_tokens=30))] = "back"
    said = said_by(engine, tenants, 150)
    assert 0.8 < said["here"] / said["back"] < 1.25


def test_short_answers_that_end_in_a_burst_are_charged_like_long_ones() -> None:
    engine = Engine(ScriptedModel(kv_blocks=200), small(burst_steps=32, max_sequences=1))
    tenants = {}
    for i in range(300):
        tenant, tokens = ("short", 30) if i % 5 else ("long", 150)
        tenants[engine.submit(of(tenant, i, 20, max_tokens=tokens))] = tenant
    said = said_by(engine, tenants, 200)
    read = {"short": 20 / 30, "long": 20 / 150}  # prompt tokens for each of an answer
    served = {tenant: said[tenant] * (ANSWER_WEIGHT + read[tenant]) for tenant in read}
    assert 0.8 < served["short"] / served["long"] < 1.25


def test_tenants_that_are_gone_do_not_pile_up() -> None:
    shares, faithful = Shares(), sequence("faithful", 0)
    shares.enter(faithful)
    for number in range(1, 1000):
        guest = sequence(f"guest {number}", number, 50)
        shares.enter(guest)
        shares.charge(guest, 50)
        shares.charge(faithful, 60 * number)
        shares.leave(guest)
    assert len(shares._served) < 5


def test_within_a_tenant_who_came_first_goes_first() -> None:
    engine = Engine(ScriptedModel(), small(max_sequences=1))
    numbers = [engine.submit(of("one", i, 20, max_tokens=5)) for i in range(6)]
    outcomes: Outcomes = {}
    while not engine.idle:
        gather(engine.step(), outcomes)
    assert [number for number, _ in outcomes] == numbers


def test_a_higher_priority_goes_first_and_takes_a_place() -> None:
    engine = Engine(ScriptedModel(), small(max_sequences=2, burst_steps=1))
    for i in range(6):
        engine.submit(of("one", i, 20, max_tokens=100))
    for _ in range(5):
        engine.step()
    urgent = engine.submit(of("one", 10, 10, priority=1, max_tokens=5))
    assert steps_until_first_token(engine, urgent) == 1
    assert engine.scheduler.preemptions == 1


def test_every_running_answer_has_a_row_in_every_step() -> None:
    engine = Engine(ScriptedModel(context_tokens=600), small(burst_steps=1))
    answering = {engine.submit(of("abc"[i % 3], i, 5, max_tokens=100)) for i in range(6)}
    engine.step()
    engine.submit(of("d", 100, 400, max_tokens=1))
    for _ in range(20):
        assert {e.request_id for e in engine.step() if e.token_id is not None} >= answering


def test_who_gives_way_is_the_lowest_priority_then_the_most_served_tenants_newest() -> None:
    settings = small(prefill_beside_decode_tokens=48, max_batch_tokens=200)
    line = Scheduler(KVCache(7, lambda pairs: None), settings, settings.max_outputs(97))
    kept, served, newest, low = (
        sequence("a", 0),
        sequence("b", 1, 30),
        sequence("b", 2, 30),
        sequence("a", 3, priority=-1),
    )
    for one in (kept, served, newest, low):
        line.add(one)
    gone: list[Sequence] = []
    while len(gone) < 2:
        for chunk in line.plan():
            chunk.sequence.computed = chunk.stop
            if chunk.samples:
                chunk.sequence.append(1)
        gone += [s for s in (kept, served, newest, low) if s.table is None and s not in gone]
    assert gone == [low, newest]


def test_a_prompt_is_charged_once_and_an_answer_by_its_weight() -> None:
    shares, one = Shares(), sequence("a", 0, 30)
    shares.enter(one)
    shares.charge(one, 20)
    shares.charge(one, 20)
    assert shares.served(one) == 20
    shares.charge(one, 10)  # computed again after it gave way
    assert shares.served(one) == 20
    shares.charge(one, 34)
    assert shares.served(one) == 30 + 4 * ANSWER_WEIGHT


def test_a_newcomer_starts_from_the_least_served_of_those_present() -> None:
    shares, line_of = Shares(), [sequence(tenant, i) for i, tenant in enumerate("abc")]
    for one in line_of[:2]:
        shares.enter(one)
    shares.charge(line_of[0], 20)
    shares.charge(line_of[1], 9)
    shares.enter(line_of[2])
    assert shares.served(line_of[2]) == 9
    for one in line_of:
        shares.leave(one)
    assert shares.served(line_of[0]) == 0  # nobody is left to compare with


def test_a_line_takes_turns_as_those_let_in_are_charged() -> None:
    shares = Shares()
    line = Line(shares)
    for number, tenant in enumerate("aaabbc"):
        one = sequence(tenant, number)
        shares.enter(one)
        line.add(one)
    turns = []
    for one in line.in_turn():
        turns.append(one.request.tenant)
        shares.charge(one, 20)
    assert turns == list("abcaba")
    assert len(line) == 6


def test_cached_tokens_are_not_charged() -> None:
    engine = Engine(ScriptedModel())
    first = Request(prompt(1, 96), SamplingParams(max_tokens=1, temperature=0.0), tenant="a")
    engine.submit(first)
    while not engine.idle:
        engine.step()
    engine.submit(replace(first, params=replace(first.params, max_tokens=50)))
    engine.step()
    (running,) = engine.scheduler._running
    assert engine.scheduler._shares.served(running) < 10
