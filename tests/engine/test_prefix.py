"""What prompts have in common is computed once, and only between equal salts."""

from __future__ import annotations

from dataclasses import replace

from puna.engine import Engine, Request, SamplingParams
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
