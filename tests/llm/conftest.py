"""What the tests of the waist share: a tiny real Llama, and the default model if it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from puna.chat import Message
from puna.engine import EngineSettings
from puna.errors import ModelNotFoundError
from puna.folders import data_folder
from puna.formats.store import ModelStore
from puna.llm import LLM
from puna.llm.models import Models
from tests.llm.several import NAMES, limited
from tests.tiny import TinyLlama

settings.register_profile(
    "puna", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("puna")

HELLO = [Message("user", "hello world")]
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 24, "ignore_eos": True}
TEXT = "hello world, it is the one on it. " * 30


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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tiny models of one size, and one as the hub names it."""
    home = tmp_path_factory.mktemp("home")
    for seed, name in enumerate(NAMES):
        TinyLlama(seed=seed).write_gguf(home / "models" / name / "model.gguf")
    TinyLlama(seed=9).write_safetensors(home / "models" / "org--repo")
    return home


@pytest.fixture
def two(home: Path) -> Iterator[Models]:
    """Room for two models at once."""
    with Models(ModelStore(home), limited(home, 2), {"default": "one"}) as models:
        yield models
