"""What the tests of the waist share: a tiny real Llama, and the default model if it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from puna.engine import EngineSettings
from puna.errors import ModelNotFoundError
from puna.folders import data_folder
from puna.formats.store import ModelStore
from puna.llm import LLM
from tests.tiny import TinyLlama

settings.register_profile(
    "puna", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("puna")


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyLlama(seed=1).write_gguf(tmp_path_factory.mktemp("llm") / "tiny.gguf")


@pytest.fixture(scope="session")
def llm(tiny_path: Path) -> Iterator[LLM]:
    """The reference kernels under an engine whose budgets bite."""
    settings = EngineSettings(max_batch_tokens=64, max_sequences=8, prefill_beside_decode_tokens=16)
    with LLM(tiny_path, context_tokens=1024, settings=settings, reference=True) as model:
        yield model


@pytest.fixture(scope="session")
def smollm2() -> Iterator[LLM]:
    """The default model on the native kernels."""
    try:
        path = ModelStore(data_folder()).find("smollm2")
    except ModelNotFoundError:
        pytest.skip("SmolLM2 is not in the model store; `puna pull smollm2` fetches it")
    with LLM(path) as model:
        yield model
