"""The network answers as Hugging Face's does, and the quantised path as the exact one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.config import DEFAULT_MODEL, Settings
from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.formats.store import ModelStore
from puna.model.llama import Llama
from puna.text.tokenizer import Tokenizer
from tests.golden.cases import CASES, ENGLISH, LOGITS
from tests.model.steps import Tokens, blocks_for, int32, read

LONG = "past 8,192 positions"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(LOGITS) as kept:
        return dict(kept)


@pytest.mark.parametrize("name", [name for name in CASES if name != LONG])
@pytest.mark.parametrize("format", ["gguf", "safetensors"])
def test_logits_are_those_of_hugging_face(
    name: str, format: str, golden: dict[str, Any], tmp_path: Path
) -> None:
    assert_golden(name, format, golden, tmp_path)


def test_logits_past_8192_positions_are_those_of_hugging_face(
    golden: dict[str, Any], tmp_path: Path
) -> None:
    assert_golden(LONG, "safetensors", golden, tmp_path)


def assert_golden(name: str, format: str, golden: dict[str, Any], folder: Path) -> None:
    case = CASES[name]
    assert case.fingerprint() == str(golden[f"{name}/weights"]), "run `make golden`"
    write = case.llama.write_gguf if format == "gguf" else case.llama.write_safetensors
    with open_checkpoint(write(folder / "llama.gguf")) as checkpoint:
        blocks = len(blocks_for(case.length))
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=blocks, reference=True)
    answered = read(llama, case.tokens)[case.rows]
    assert np.abs(answered - golden[f"{name}/logits"]).max() < 1e-4


WINDOW_TOKENS = 500


@dataclass(frozen=True)
class Nearness:
    """How near one network's next-token distributions are to another's."""

    top1: float  # share of positions at which both prefer the same token
    kl: float  # mean Kullback-Leibler divergence, in nats


@pytest.fixture(scope="module")
def smollm2() -> Iterator[Checkpoint]:
    path = ModelStore(Settings.from_environment().home).find(DEFAULT_MODEL)
    with open_checkpoint(path) as checkpoint:
        yield checkpoint


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def nearness(smollm2: Checkpoint, request: pytest.FixtureRequest) -> Nearness:
    """Compare native kernels with exact arithmetic on the same weights, over some windows."""
    blocks = len(blocks_for(WINDOW_TOKENS))
    exact = Llama.from_checkpoint(smollm2, kv_blocks=blocks, reference=True)
    native = Llama.from_checkpoint(smollm2, kv_blocks=blocks)
    windows = english_windows(smollm2, request.param)
    each = [window_nearness(exact, native, window) for window in windows]
    return Nearness(
        float(np.mean([one.top1 for one in each])), float(np.mean([one.kl for one in each]))
    )


def english_windows(checkpoint: Checkpoint, count: int) -> list[Tokens]:
    ids = Tokenizer.from_checkpoint(checkpoint).encode(ENGLISH.read_text(encoding="utf-8"))
    edges = range(0, (count + 1) * WINDOW_TOKENS, WINDOW_TOKENS)
    return [int32(ids[start:end]) for start, end in pairwise(edges)]


def window_nearness(exact: Llama, native: Llama, tokens: Tokens) -> Nearness:
    expected, found = (log_softmax(read(llama, tokens)) for llama in (exact, native))
    same = expected.argmax(axis=1) == found.argmax(axis=1)
    divergence = (np.exp(expected) * (expected - found)).sum(axis=1)
    return Nearness(float(same.mean()), float(divergence.mean()))


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True).astype(np.float64)
    normed: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normed


@pytest.mark.default_model
@pytest.mark.timeout(300)
def test_the_quantised_path_prefers_the_tokens_that_exact_arithmetic_does(
    nearness: Nearness,
) -> None:
    assert nearness.top1 >= 0.99
    assert nearness.kl < 1e-3
