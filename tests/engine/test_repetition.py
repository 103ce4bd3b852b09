"""An answer that says one passage over and over ends; one that only looks like it goes on."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import Engine
from puna.engine.repetition import is_repetition
from puna.kernels.batch import Batch
from tests.engine.scripted import ScriptedModel, request, run


class Chanting(ScriptedModel):
    """Says the same seven tokens over and over once the prompt is read."""

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        logits = super().forward(batch)
        said = batch.positions[batch.output_rows] % 7 + 20
        logits[np.arange(len(said)), said] = 50.0
        return logits


class Counting(ScriptedModel):
    """Says a list whose every seventh token, its number, is another one."""

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        logits = super().forward(batch)
        at = batch.positions[batch.output_rows]
        said = np.where(at % 7 == 0, at // 7 % 40, at % 7 + 50)
        logits[np.arange(len(said)), said] = 50.0
        return logits


@pytest.mark.parametrize(
    ("tokens", "repeats"),
    [
        ([4] * 12, True),
        ([1, 2, 3] * 4, True),
        ([1, 2, 3, 1, 2, 3, 1, 2], False),  # not three times over
        ([3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1], True),  # wherever in the passage it begins and ends
        ([1, 2, 3] * 3 + [1, 2, 4], False),
        ([9, *[1, 2, 3] * 4], False),
        (list(range(30)), False),
        ([256, 1] * 6, True),
        ([1, 256, 0, 1] * 2, False),  # two times
    ],
)
def test_a_passage_over_and_over_is_told_from_a_text(tokens: Sequence[int], repeats: bool) -> None:
    assert is_repetition(array("i", tokens)) is repeats


@pytest.mark.parametrize("logprobs", [None, 0], ids=["in bursts", "step by step"])
def test_an_answer_that_repeats_itself_ends_soon_after_its_limit(logprobs: int | None) -> None:
    asked = request(1, 30, temperature=0.0, repetition_limit=100, logprobs=logprobs)
    outcome = run(Engine(Chanting()), [asked])[0, 0]
    assert outcome.reason == "repetition"
    assert len(outcome.tokens) == 128
    assert outcome.last.stats is not None
    assert outcome.last.stats.completion_tokens == 128


def test_it_goes_on_where_nobody_set_a_limit_or_something_changes() -> None:
    endless = run(Engine(Chanting()), [request(1, 30, temperature=0.0, max_tokens=400)])[0, 0]
    assert (endless.reason, len(endless.tokens)) == ("length", 400)
    counted = request(1, 30, temperature=0.0, max_tokens=400, repetition_limit=100)
    assert run(Engine(Counting()), [counted])[0, 0].reason == "length"


def test_others_go_on_where_one_ends() -> None:
    limited = request(1, 30, temperature=0.0, repetition_limit=64)
    other = request(2, 30, temperature=0.0, max_tokens=200)
    outcomes = run(Engine(Chanting()), [limited, other])
    assert (outcomes[0, 0].reason, outcomes[1, 0].reason) == ("repetition", "length")
    assert len(outcomes[1, 0].tokens) == 200
