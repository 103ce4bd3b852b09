"""A model is opened from either format, or it is said what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.errors import (
    ModelNotFoundError,
    SettingError,
)
from puna.llm import LLM
from tests.llm.conftest import GREEDY, HELLO
from tests.tiny import TinyLlama


def test_both_formats_of_the_same_weights_answer_alike(llm: LLM, tmp_path: Path) -> None:
    folder = TinyLlama(seed=1).write_safetensors(tmp_path / "tiny")
    with LLM(folder, context_tokens=512, reference=True) as other:
        assert other.reply(HELLO, **GREEDY).text == llm.reply(HELLO, **GREEDY).text


def test_opening_names_what_is_wrong(tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        LLM("no-such-model", home=tmp_path)
    with pytest.raises(SettingError, match="context"):
        LLM(tiny_path, context_tokens=10**6, reference=True)
    with pytest.raises(SettingError, match="kv_tokens"):
        LLM(tiny_path, kv_tokens=0, reference=True)


def test_loading_is_reported_in_bytes(tiny_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    LLM(tiny_path, reference=True, progress=lambda done, total: seen.append((done, total))).close()
    assert seen[-1][0] == seen[-1][1]
