"""Four tiny models, and what tests of several do with them."""

from __future__ import annotations

from pathlib import Path

from puna.formats.store import ModelStore
from puna.llm.models import Models, ModelSettings

NAMES = ("one", "two", "three", "four")


def limited(home: Path, room_for: int, wait_s: float = 30.0) -> ModelSettings:
    """A budget that holds so many of the tiny models."""
    with Models(ModelStore(home), ModelSettings(kv_tokens=256, context_tokens=128)) as models:
        each = models.card("one").memory_bytes
    return ModelSettings(
        budget_bytes=room_for * each + each // 2,
        wait_s=wait_s,
        context_tokens=128,
        kv_tokens=256,
        threads=1,
    )


def loaded(models: Models) -> list[str]:
    return [card.name for card in models.loaded()]


def use(models: Models, *names: str) -> None:
    for name in names:
        with models.lease(name):
            pass
