"""A model and a place for its packed weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.model.packed import PackedCache
from tests.model.packing import TYPES
from tests.tiny import TinyLlama


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return TinyLlama.for_k_types(seed=2).write_gguf(tmp_path / "m/tiny.gguf", TYPES)


@pytest.fixture
def cache(tmp_path: Path) -> PackedCache:
    return PackedCache(tmp_path / "spare", worthwhile_bytes=0)
