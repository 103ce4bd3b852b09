"""Configs of both formats are read alike, and what Puna cannot run is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.formats.blocks import F32
from puna.formats.checkpoint import Checkpoint, Tensor
from puna.model.config import LlamaConfig
from puna.model.rope import FrequencyDivisors, LinearScaling, Llama3Scaling
from tests.tiny import ROPE_SCALING, TinyLlama

TINY = TinyLlama()

GGUF: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 2048,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}


def from_json(**changes: Any) -> LlamaConfig:
    values = {**TINY.config, **changes}
    return LlamaConfig.from_checkpoint(Checkpoint(Path("tiny"), "safetensors", values, {}, maps=()))


def from_gguf(changes: dict[str, Any], **tensors: NDArray[Any]) -> LlamaConfig:
    values = {key: value for key, value in {**GGUF, **changes}.items() if value is not None}
    held = {"token_embd.weight": np.zeros((312, 64), np.float32), **tensors}
    by_name = {name: tensor(name, array) for name, array in held.items()}
    return LlamaConfig.from_checkpoint(
        Checkpoint(Path("tiny.gguf"), "gguf", values, by_name, maps=())
    )


def tensor(name: str, array: NDArray[Any]) -> Tensor:
    return Tensor(name, F32, array.shape, np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def test_config_json_is_read() -> None:
    config = from_json()
    assert (config.hidden_size, config.intermediate_size) == (64, 128)
    assert (config.num_hidden_layers, config.vocab_size) == (2, len(TINY.tokens))
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 16)
    assert (config.rms_norm_eps, config.rope_theta, config.rope_scaling) == (1e-5, 10000.0, None)
    assert config.max_position_embeddings == 2048
    assert not config.tie_word_embeddings


def test_gguf_says_the_same() -> None:
    assert from_gguf({}, **{"output.weight": np.zeros((312, 64), np.float32)}) == from_json()


def test_absent_values_take_the_defaults_of_hugging_face() -> None:
    absent = ("head_dim", "num_key_value_heads", "rms_norm_eps", "rope_theta", "rope_scaling")
    config = from_json(**dict.fromkeys((*absent, "max_position_embeddings", "hidden_act")))
    assert (config.head_dim, config.num_key_value_heads) == (16, 4)
    assert (config.rms_norm_eps, config.rope_theta) == (1e-6, 10000.0)
    assert config.max_position_embeddings == 2048


def test_a_gguf_without_output_ties_it_to_the_embedding() -> None:
    assert from_gguf({}).tie_word_embeddings


@pytest.mark.parametrize("type_key", ["rope_type", "type"])
def test_rope_scaling_is_read_from_old_and_new_keys(type_key: str) -> None:
    linear = from_json(rope_scaling={type_key: "linear", "factor": 2.0})
    assert linear.rope_scaling == LinearScaling(2.0)
    llama3 = {**ROPE_SCALING, "rope_theta": 5e5}
    newer = from_json(rope_scaling=None, rope_theta=None, rope_parameters=llama3)
    assert newer.rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, 8192)
    assert newer.rope_theta == 5e5
    assert from_json(rope_scaling={type_key: "default"}).rope_scaling is None


def test_ggufs_rope_scaling_is_read() -> None:
    scaled = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    assert from_gguf(scaled).rope_scaling == LinearScaling(4.0)
    divisors = np.array([1, 1, 1, 1, 2, 4, 8, 8], np.float32)
    config = from_gguf({}, **{"rope_freqs.weight": divisors})
    assert config.rope_scaling == FrequencyDivisors((1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 8.0))


def test_heads_given_for_each_layer_must_be_alike() -> None:
    assert from_gguf({"llama.attention.head_count": np.array([4, 4])}).num_attention_heads == 4
    with pytest.raises(UnsupportedModelError, match="differs between layers"):
        from_gguf({"llama.attention.head_count": np.array([4, 8])})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "mixtral"}, "mixtral"),
        ({"model_type": None}, "None"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "yarn"),
        ({"head_dim": 20}, "20"),
        ({"num_attention_heads": 65, "num_key_value_heads": 1, "head_dim": 8}, "65"),
    ],
)
def test_other_models_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModelError, match=named):
        from_json(**changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"general.architecture": "qwen2"}, "qwen2"),
        ({"general.architecture": None}, "None"),
        ({"llama.expert_count": 8}, "8 experts"),
        ({"llama.rope.scaling.type": "longrope"}, "longrope"),
        ({"llama.rope.dimension_count": 8}, "dimension_count"),
        ({"llama.attention.value_length": 8}, "value_length"),
    ],
)
def test_other_ggufs_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModelError, match=named):
        from_gguf(changes)


@pytest.mark.parametrize("value", [0, -1, 2**31, 2**63, 1.5, True, "64", [], {}])
@pytest.mark.parametrize("key", ["hidden_size", "num_attention_heads", "vocab_size", "head_dim"])
def test_impossible_counts_are_malformed(key: str, value: Any) -> None:
    with pytest.raises(MalformedFileError, match=key):
        from_json(**{key: value})


@pytest.mark.parametrize("value", [0.0, -1e-5, float("nan"), float("inf"), "1e-5", False])
@pytest.mark.parametrize("key", ["rms_norm_eps", "rope_theta"])
def test_impossible_numbers_are_malformed(key: str, value: Any) -> None:
    with pytest.raises(MalformedFileError, match=key):
        from_json(**{key: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"num_key_value_heads": 3},
        {"num_key_value_heads": 8},
        {"num_attention_heads": 128, "head_dim": None},
        {"tie_word_embeddings": "yes"},
        {"rope_scaling": "linear"},
        {"rope_scaling": {"rope_type": "linear"}},
        {"rope_scaling": {"rope_type": "linear", "factor": 0}},
        {"rope_scaling": {**ROPE_SCALING, "low_freq_factor": 4.0}},
        {"rope_scaling": {**ROPE_SCALING, "original_max_position_embeddings": None}},
    ],
    ids=str,
)
def test_contradictions_are_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedFileError):
        from_json(**changes)


@pytest.mark.parametrize("key", GGUF)
def test_a_key_that_the_network_needs_is_named_when_it_is_missing(key: str) -> None:
    if key == "llama.attention.head_count_kv":
        assert from_gguf({key: None}).num_key_value_heads == 4
        return
    with pytest.raises((MalformedFileError, UnsupportedModelError)) as refusal:
        from_gguf({key: None})
    assert key in str(refusal.value) or "architecture" in key


@pytest.mark.parametrize("divisors", [np.ones(4), np.zeros(8), np.full(8, np.nan)], ids=str)
def test_unusable_divisors_are_malformed(divisors: NDArray[Any]) -> None:
    with pytest.raises(MalformedFileError, match="rope_freqs"):
        from_gguf({}, **{"rope_freqs.weight": divisors.astype(np.float32)})


def test_a_gguf_without_a_vocabulary_is_malformed() -> None:
    values = Checkpoint(Path("tiny.gguf"), "gguf", GGUF, {}, maps=())
    with pytest.raises(MalformedFileError, match="token_embd"):
        LlamaConfig.from_checkpoint(values)
