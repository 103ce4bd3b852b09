"""The soak run passes on a sound model, and notices one that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from puna.chat import Delta, Message
from puna.llm import LLM
from tests.soak.run import soak
from tests.soak.tenants import alike
from tests.tiny import TinyLlama


class Forgetful:
    """A model that never says the same twice, and takes any request."""

    context_tokens = 512

    def __init__(self) -> None:
        self._calls = count()

    def ask(self, question: str, **options: Any) -> str:
        return f"answer {next(self._calls)}"

    def stream(self, messages: Sequence[Message], **options: Any) -> Iterator[Delta]:
        yield Delta("answer")


def test_a_sound_model_passes(tmp_path: Path) -> None:
    with LLM(TinyLlama().write_gguf(tmp_path / "tiny.gguf"), context_tokens=512) as llm:
        state = soak(llm, 2.0)
    assert [failure for failure in state.failures if "memory" not in failure] == []
    assert min(state.counts[outcome] for outcome in ("read", "left", "refused")) > 0


def test_an_answer_that_changes_is_a_failure() -> None:
    failures = soak(Forgetful(), 0.5).failures
    assert any("and before it" in failure for failure in failures)
    assert any("beyond the context" in failure for failure in failures)


def test_samples_of_one_distribution_are_told_from_those_of_two() -> None:
    random = Random(1)
    here = [random.gauss(10, 1) for _ in range(300)]
    there = [random.gauss(10, 1) for _ in range(300)]
    assert alike(here, here) == 1.0
    assert alike(here, there) > 0.01
    assert alike(here, [time + 1 for time in there]) < 1e-6
