"""Real tokenizers: the default model's, a trained SentencePiece one, the tiny one, Llama 3's."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.config import DEFAULT_MODEL, Settings
from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.formats.store import ModelStore
from puna.text.tokenizer import Tokenizer
from tests.golden.kept import load
from tests.text.folder import folder
from tests.tiny import TinyLlama


@pytest.fixture(scope="session")
def smollm2_file() -> Iterator[Checkpoint]:
    path = ModelStore(Settings.from_environment().home).find(DEFAULT_MODEL)
    with open_checkpoint(path) as checkpoint:
        yield checkpoint


@pytest.fixture(scope="session")
def smollm2(smollm2_file: Checkpoint) -> Tokenizer:
    return Tokenizer.from_checkpoint(smollm2_file)


@pytest.fixture(scope="session")
def sentencepiece() -> Tokenizer:
    model = base64.b64decode(load("sentencepiece")["model"])
    return Tokenizer.from_checkpoint(folder({"tokenizer.model": model}))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkpoint]:
    path = TinyLlama(seed=3).write_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    with open_checkpoint(path) as checkpoint:
        yield checkpoint


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny: Checkpoint) -> Tokenizer:
    return Tokenizer.from_checkpoint(tiny)


@pytest.fixture(scope="session")
def llama3() -> Tokenizer:
    """Meta's own vocabulary, where the package llama-models is installed."""
    package = importlib.util.find_spec("llama_models")
    if package is None or package.origin is None:
        pytest.skip("Meta's vocabulary comes with the package llama-models, which is not installed")
    model = Path(package.origin).with_name("llama3") / "tokenizer.model"
    return Tokenizer.from_checkpoint(folder({"tokenizer.model": model.read_bytes()}))
