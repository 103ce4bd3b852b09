"""What models may take, and that they give it back."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from puna.formats.store import ModelStore
from puna.llm.cards import ModelCard
from puna.llm.memory import machine_bytes, memory_for_models
from puna.llm.models import Models, ModelSettings
from tests.llm.several import use
from tests.tiny import TinyLlama


def test_an_unloaded_model_gives_its_memory_back_to_the_system(tmp_path: Path) -> None:
    shape: dict[str, Any] = {
        "hidden": 768,
        "intermediate": 3072,
        "layers": 8,
        "heads": 8,
        "head_dim": 96,
    }
    for name in ("big", "bigger"):
        TinyLlama(seed=3, **shape).write_gguf(tmp_path / "models" / name / "m.gguf", "F16")
    limits = ModelSettings(kv_tokens=2048, context_tokens=1024, threads=1)
    with Models(ModelStore(tmp_path), limits) as probe:
        card = probe.card("big")
    one = ModelSettings(**{**vars(limits), "budget_bytes": card.memory_bytes * 3 // 2})
    with Models(ModelStore(tmp_path), one) as models:
        start = private_bytes()
        use(models, "big")
        with_one = private_bytes() - start
        use(models, "bigger", "big", "bigger")
        after_three = private_bytes() - start
    gc.collect()
    left = private_bytes() - start
    check_memory(card, with_one, after_three, left)


def check_memory(card: ModelCard, with_one: int, after_three: int, left: int) -> None:
    assert card.bytes > 100e6
    assert card.bytes * 0.8 < with_one < card.memory_bytes * 1.3
    assert after_three < with_one * 1.1
    assert left < card.bytes * 0.1


def private_bytes() -> int:
    """Resident memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(kib) * 1024


def test_the_budget_is_a_share_of_the_memory_that_there_is(home: Path) -> None:
    with Models(ModelStore(home)) as models:
        assert models.budget_bytes == memory_for_models()
    assert 2**28 < memory_for_models() < machine_bytes()
