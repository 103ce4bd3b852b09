"""Who runs next: decode first, prompts within the budget, the newest gives way."""

from __future__ import annotations

import pytest

from puna.engine import Engine, EngineSettings
from puna.engine.cache import KVCache
from puna.engine.scheduler import Chunk, Scheduler
from puna.engine.sequence import Sequence
from puna.errors import SettingError
from tests.engine.scripted import ScriptedModel, request, run, small


def sequence(number: int, prompt_tokens: int, **params: int) -> Sequence:
    return Sequence(number, 0, request(number, prompt_tokens, **params), 100, 0.0)


def scheduler(blocks: int = 64, **settings: int) -> Scheduler:
    chosen = small(**settings)
    cache = KVCache(blocks, lambda pairs: None)
    return Scheduler(cache, chosen, chosen.max_outputs(97))


def shape(chunks: list[Chunk]) -> list[tuple[int, int, int]]:
    return [(c.sequence.request_id, c.start, c.stop) for c in chunks]


def done(chunks: list[Chunk]) -> None:
    """Compute the chunks and sample where they ask for it."""
    for chunk in chunks:
        chunk.sequence.computed = chunk.stop
        if chunk.samples:
            chunk.sequence.append(1)


def test_a_long_prompt_is_cut_to_the_budget() -> None:
    line = scheduler()
    line.add(sequence(0, 100))
    seen = []
    for _ in range(3):
        chunks = line.plan()
        seen += shape(chunks)
        done(chunks)
    assert seen == [(0, 0, 48), (0, 48, 96), (0, 96, 100)]


def test_decode_rows_come_first_and_leave_prompts_their_share() -> None:
    line = scheduler()
    line.add(sequence(0, 10))
    done(line.plan())
    line.add(sequence(1, 100))
    line.add(sequence(2, 5))
    assert shape(line.plan()) == [(0, 10, 11), (1, 0, 16)]


def test_prompts_share_a_step_in_order_of_arrival() -> None:
    line = scheduler()
    for number, length in enumerate((20, 20, 20)):
        line.add(sequence(number, length))
    assert shape(line.plan()) == [(0, 0, 20), (1, 0, 20), (2, 0, 8)]


def test_who_does_not_fit_waits_and_nobody_overtakes() -> None:
    line = scheduler(blocks=4)
    line.add(sequence(0, 70))
    line.add(sequence(1, 90))
    line.add(sequence(2, 3))
    assert {number for number, _, _ in shape(line.plan())} == {0}
    assert line.waiting == 2


def test_the_newest_gives_its_blocks_back_and_comes_again_first_in_line() -> None:
    line = scheduler(blocks=5, prefill_beside_decode_tokens=48)
    old, new = sequence(0, 62), sequence(1, 40)
    line.add(old)
    line.add(new)
    while not (old.decoding and new.decoding):
        done(line.plan())
    while line.preemptions == 0:
        done(line.plan())
        assert old.table is not None
    assert new.table is None
    assert line.waiting == 1
    line.add(sequence(2, 1))
    line.remove(old)
    assert shape(line.plan())[0][0] == 1


def test_removing_gives_everything_back_in_every_state() -> None:
    line = scheduler(blocks=4)
    waiting, running = sequence(1, 90), sequence(0, 70)
    line.add(running)
    line.add(waiting)
    done(line.plan())
    line.remove(waiting)
    line.remove(running)
    line.remove(running)
    assert line.idle
    assert line._cache.held == 0


def test_more_sequences_than_rows_never_exceed_the_step() -> None:
    engine = Engine(ScriptedModel(), small(max_batch_tokens=8, max_sequences=8))
    outcomes = run(engine, [request(i, 5 + i, max_tokens=9) for i in range(30)])
    assert {outcome.reason for outcome in outcomes.values()} == {"length"}


def test_a_short_answer_is_not_stopped_by_a_long_prompt() -> None:
    """While a prompt of 500 tokens is read, the answer beside it goes on at every step."""
    engine = Engine(ScriptedModel(context_tokens=600), small())
    first = engine.submit(request(1, 5, max_tokens=40))
    engine.step()
    engine.submit(request(2, 500, max_tokens=1))
    for _ in range(30):
        assert any(e.request_id == first and e.token_id is not None for e in engine.step())


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_batch_tokens": 0},
        {"max_sequences": -1},
        {"max_sequences": 513},
        {"prefill_beside_decode_tokens": 0},
        {"max_logits_bytes": 0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingError):
        EngineSettings(**wrong)
