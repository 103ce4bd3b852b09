"""What the tests of formats share: one tiny model in both formats, and an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.formats.store import ModelStore
from tests.tiny import TinyLlama


@pytest.fixture(scope="session")
def tiny() -> TinyLlama:
    return TinyLlama(seed=3, hidden=32, intermediate=64, head_dim=8, rope_scaling=True)


@pytest.fixture(scope="session")
def tiny_gguf(tiny: TinyLlama, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_gguf(tmp_path_factory.mktemp("tiny") / "tiny-Q8_0.gguf", "Q8_0")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")
