"""A random-weight file opens as a Llama of its shape, and its numbers are sane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from puna.cli import random_model as rm
from puna.cli.shapes import QUANTS, Shape
from puna.errors import SettingError
from puna.formats import open_checkpoint
from puna.formats.blocks import F32, by_name
from puna.kernels.blocks import dequantise
from puna.model.config import LlamaConfig
from puna.text.tokenizer import Tokenizer

SHAPE = Shape("tiny", 256, 3, 4, 2, 512, head_dim=64, vocab_size=512, max_position_embeddings=4096)


@pytest.mark.parametrize("quant", QUANTS)
def test_the_file_is_a_llama_of_the_shape(tmp_path: Path, quant: str) -> None:
    progress: list[tuple[int, int]] = []
    path = rm.random_model(tmp_path, SHAPE, quant, lambda *state: progress.append(state))
    with open_checkpoint(path) as checkpoint:
        config = LlamaConfig.from_checkpoint(checkpoint)
        assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (256, 3, 512)
        shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
        assert shapes == dict(SHAPE.tensors())
        assert sum(t.data.nbytes for t in checkpoint.tensors.values()) == SHAPE.weight_bytes(quant)
        tokenizer = Tokenizer.from_checkpoint(checkpoint)
    assert tokenizer.decode(tokenizer.encode("any text: ñ")) == "any text: ñ"
    assert progress[-1] == (SHAPE.weight_bytes(quant), SHAPE.weight_bytes(quant))


@pytest.mark.parametrize("name", [name for name in QUANTS if name != "Q4_K_M"])
def test_weights_have_the_deviation_of_trained_ones(name: str) -> None:
    block = by_name(name)
    raw = b"".join(rm.random_pieces(block, (512, 1024), seed=1))
    weights = dequantise(np.frombuffer(raw, np.uint8), name, 512 * 1024)
    assert np.std(weights) == pytest.approx(rm.DEVIATION, rel=0.05)
    assert abs(np.mean(weights)) < rm.DEVIATION / 5


def test_a_norm_is_ones() -> None:
    raw = b"".join(rm.random_pieces(F32, (256,), seed=1))
    assert np.array_equal(np.frombuffer(raw, np.float32), np.ones(256, np.float32))


def test_a_second_call_keeps_the_file(tmp_path: Path) -> None:
    path = rm.random_model(tmp_path, SHAPE, "Q8_0", lambda *_: None)
    written = path.stat().st_mtime_ns
    assert rm.random_model(tmp_path, SHAPE, "Q8_0", lambda *_: None) == path
    assert path.stat().st_mtime_ns == written


def test_a_full_disk_is_noticed_before_writing(tmp_path: Path) -> None:
    shape = Shape("huge", 2**20, 1000, 128, 8, 2**22)
    with pytest.raises(SettingError, match="make room, or set PUNA_HOME"):
        rm.random_model(tmp_path, shape, "F32", lambda *_: None)
    assert list(tmp_path.iterdir()) == []
