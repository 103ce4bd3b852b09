"""The default model reads and continues English as llama.cpp does with the same file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna import LLM

GOLDEN = Path(__file__).parents[1] / "golden"
CLEAR_LEAD = 0.75  # nats; llama.cpp's 8-bit activations may decide what is closer than this

pytestmark = [pytest.mark.default_model, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def peer() -> Any:
    return json.loads((GOLDEN / "peer.json").read_text(encoding="utf-8"))


def test_perplexity_is_within_half_a_percent(smollm2: LLM, peer: Any) -> None:
    text = (GOLDEN / "english.txt").read_text(encoding="utf-8")
    assert smollm2.perplexity(text).value == pytest.approx(peer["perplexity"], rel=0.005)


def test_greedy_choices_agree_wherever_the_lead_is_clear(smollm2: LLM, peer: Any) -> None:
    clear, agreed, total = 0, 0, 0
    for one in peer["continuations"]:
        chosen = greedy_choices(smollm2, one["prompt"], one["tokens"])
        same = np.array(chosen) == np.array(one["tokens"])
        lead = np.array(one["leads"]) > CLEAR_LEAD
        assert same[lead].all()
        clear, agreed, total = clear + int(lead.sum()), agreed + int(same.sum()), total + len(same)
    assert clear > total / 2
    assert agreed / total > 0.93


def greedy_choices(llm: LLM, prompt: list[int], continuation: list[int]) -> list[int]:
    """What would follow at each place of llama.cpp's continuation, that far taken as given."""
    reply = llm.complete([*prompt, *continuation], max_tokens=1, prompt_logprobs=1)
    scored = reply.prompt_logprobs[len(prompt) - 1 :]
    return [max(one.top, key=lambda choice: choice[2])[0] for one in scored][: len(continuation)]
