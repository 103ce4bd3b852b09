"""An answer that may say more only once it is told: it pauses, then goes on unchanged, or ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from puna.engine import Engine, EngineSettings, Request
from puna.engine.loop import EngineLoop
from puna.errors import SettingError
from tests.engine.scripted import Outcomes, ScriptedModel, alone, gather, request, small


@dataclass
class Granted:
    """So many tokens by now, and perhaps more."""

    tokens: int
    more: bool = True

    def left(self, said: int) -> int:
        return self.tokens - said

    def waits(self) -> bool:
        return self.more


def asked(number: int, granted: Granted, **params: object) -> Request:
    return replace(request(number, 20, **params), allowance=granted)


def stepped(engine: Engine, outcomes: Outcomes, steps: int = 60) -> None:
    for _ in range(steps):
        gather(engine.step(), outcomes)


@pytest.mark.parametrize("burst_steps", [1, 32])
def test_a_pause_changes_no_word_and_stops_nobody_else(burst_steps: int) -> None:
    granted, outcomes = Granted(5), Outcomes()
    engine = Engine(ScriptedModel(), small(burst_steps=burst_steps))
    engine.submit(asked(1, granted, max_tokens=40, temperature=0.0))
    engine.submit(request(2, 20, max_tokens=50))
    stepped(engine, outcomes)
    assert (len(outcomes[0, 0].tokens), outcomes[0, 0].reason) == (5, None)
    assert outcomes[1, 0].reason == "length"
    assert (engine.resting, engine.idle) == (True, False)
    granted.tokens = 1000
    stepped(engine, outcomes)
    assert outcomes[0, 0].tokens == alone(request(1, 20, max_tokens=40, temperature=0.0))
    assert (engine.resting, engine.idle) == (False, True)


def test_a_pause_ends_where_nothing_more_is_granted() -> None:
    granted, outcomes = Granted(5), Outcomes()
    engine = Engine(ScriptedModel(), small())
    engine.submit(asked(1, granted, n=2))
    stepped(engine, outcomes)
    granted.more = False
    stepped(engine, outcomes, 1)
    assert [(len(one.tokens), one.reason) for one in outcomes.values()] == [(5, "length")] * 2
    assert engine.idle


def test_who_pauses_may_lose_the_room_and_says_no_word_too_many() -> None:
    granted, outcomes = Granted(40), Outcomes()
    engine = Engine(ScriptedModel(kv_blocks=8, context_tokens=256), small())
    engine.submit(asked(1, granted, max_tokens=60, temperature=0.0))
    stepped(engine, outcomes)
    for number in (2, 3):
        engine.submit(request(number, 30, max_tokens=150))
    stepped(engine, outcomes, 300)
    assert engine.scheduler.preemptions > 0
    assert len(outcomes[0, 0].tokens) == 40
    granted.tokens = 60
    stepped(engine, outcomes)
    assert outcomes[0, 0].tokens == alone(request(1, 20, max_tokens=60, temperature=0.0))


def test_who_pauses_can_be_cancelled_and_a_loop_hears_of_new_ones() -> None:
    loop = EngineLoop(Engine(ScriptedModel(), small()))
    granted = Granted(3)
    paused = loop.submit(asked(1, granted, n=1))
    said = iter(paused)
    while next(said).token_id is None:
        pass
    with loop.submit(request(2, 20, max_tokens=4)) as other:
        assert list(other)[-1].finish_reason == "length"
    granted.tokens = 10
    granted.more = False
    assert list(said)[-1].finish_reason == "length"
    loop.close()


def test_steps_that_the_model_cannot_take_are_refused_at_once() -> None:
    with pytest.raises(SettingError, match="600, but the model was opened for 512 rows"):
        Engine(ScriptedModel(), EngineSettings(max_batch_tokens=600))
