"""Every tensor of a network is found under either format's name, or missed by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from puna.errors import MissingTensorError, UnsupportedModelError
from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.kernels.reference import Eager
from puna.model.config import LlamaConfig
from puna.model.weights import LlamaWeights, check_tensors, load_weights
from tests.kernels.alone import shape
from tests.tiny import TinyLlama

Progress = Callable[[int, int], None]
Writer = Callable[[TinyLlama, Path], Path]
WRITERS: dict[str, Writer] = {
    "gguf": lambda tiny, path: tiny.write_gguf(path / "tiny.gguf"),
    "safetensors": lambda tiny, path: tiny.write_safetensors(path / "tiny"),
}
TINY = TinyLlama(seed=3)


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](TINY, tmp_path)


def load(
    checkpoint: Checkpoint, progress: Callable[[int, int], None] | None = None
) -> LlamaWeights:
    config = LlamaConfig.from_checkpoint(checkpoint)
    return load_weights(checkpoint, config, Eager(shape()), context_tokens=256, progress=progress)


def without(checkpoint: Checkpoint, name: str) -> Checkpoint:
    held = {n: tensor for n, tensor in checkpoint.tensors.items() if n != name}
    return Checkpoint(checkpoint.path, checkpoint.format, checkpoint.metadata, held, maps=())


def test_both_formats_give_the_weights_in_hugging_faces_order(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        weights = load(checkpoint)
    layer, expected = weights.layers[1], TINY.tensors
    prefix = "model.layers.1."
    for found, name in (
        (weights.embedding, "model.embed_tokens.weight"),
        (weights.output, "lm_head.weight"),
        (layer.query, prefix + "self_attn.q_proj.weight"),
        (layer.key, prefix + "self_attn.k_proj.weight"),
        (layer.value, prefix + "self_attn.v_proj.weight"),
        (layer.attention_output, prefix + "self_attn.o_proj.weight"),
        (layer.gate, prefix + "mlp.gate_proj.weight"),
        (layer.up, prefix + "mlp.up_proj.weight"),
        (layer.down, prefix + "mlp.down_proj.weight"),
    ):
        assert np.array_equal(found.values, expected[name]), name
    assert np.array_equal(weights.norm, expected["model.norm.weight"])
    assert np.array_equal(layer.attention_norm, expected[prefix + "input_layernorm.weight"])
    assert np.array_equal(layer.mlp_norm, expected[prefix + "post_attention_layernorm.weight"])


def test_tied_embeddings_are_one_matrix(tmp_path: Path) -> None:
    for write in WRITERS.values():
        with open_checkpoint(write(TinyLlama(tied=True), tmp_path)) as checkpoint:
            weights = load(checkpoint)
        assert weights.output is weights.embedding


def test_progress_counts_every_byte_once(written: Path) -> None:
    steps: list[tuple[int, int]] = []
    with open_checkpoint(written) as checkpoint:
        load(checkpoint, lambda done, total: steps.append((done, total)))
    total = sum(values.nbytes for values in TINY.tensors.values())
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert len(steps) == len(TINY.tensors)
    assert {total for _, total in steps} == {total}
    assert steps[-1] == (total, total)


def test_any_missing_tensor_is_named_with_its_shape(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        config = LlamaConfig.from_checkpoint(checkpoint)
        check_tensors(checkpoint, config)
        for name, tensor in checkpoint.tensors.items():
            with pytest.raises(MissingTensorError) as refusal:
                check_tensors(without(checkpoint, name), config)
            assert repr(name) in str(refusal.value)
            assert str(tensor.shape) in str(refusal.value)


def test_a_misshapen_tensor_is_named_with_both_shapes(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        wider = LlamaConfig(
            **{**vars(LlamaConfig.from_checkpoint(checkpoint)), "intermediate_size": 160}
        )
        with pytest.raises(MissingTensorError, match=r"\(128, 64\).*needs shape \(160, 64\)"):
            check_tensors(checkpoint, wider)


def test_a_huge_number_of_layers_is_refused_at_once(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        deep = LlamaConfig(
            **{**vars(LlamaConfig.from_checkpoint(checkpoint)), "num_hidden_layers": 1 << 24}
        )
        with pytest.raises(MissingTensorError, match="2"):
            check_tensors(checkpoint, deep)


def test_a_bias_is_refused_by_name(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        config, norm = LlamaConfig.from_checkpoint(checkpoint), next(iter(checkpoint.tensors))
        held = {**checkpoint.tensors, "blk.0.attn_q.bias": checkpoint.tensors[norm]}
        biased = Checkpoint(written, checkpoint.format, checkpoint.metadata, held, maps=())
        with pytest.raises(UnsupportedModelError, match=r"attn_q\.bias"):
            check_tensors(biased, config)
