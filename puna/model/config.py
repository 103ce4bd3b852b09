"""The shape of a Llama, read from config.json or from GGUF's key-values.

In: an open checkpoint.  Out: a LlamaConfig with the names of Hugging Face's
config.json, or a named error if the model is not a Llama that Puna runs.  Reads no
weights but GGUF's rotary divisors, which are part of the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.formats.checkpoint import Checkpoint
from puna.kernels.blocks import dequantise
from puna.model.metadata import Metadata
from puna.model.rope import FrequencyDivisors, LinearScaling, Llama3Scaling, RopeScaling

HEAD_DIM_STEP = 8
"""The kernels read a head's values eight at a time."""
MOST_HEADS_PER_KEY_HEAD = 64
"""The kernels hold the queries of all heads that share a key in one tile."""


@dataclass(frozen=True)
class LlamaConfig:
    """Everything about the network but its weights."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None
    tie_word_embeddings: bool

    def __post_init__(self) -> None:
        if self.num_attention_heads % self.num_key_value_heads:
            raise MalformedFileError(
                f"{self.num_attention_heads} attention heads cannot share "
                f"{self.num_key_value_heads} key-value heads evenly; "
                "the file is damaged or was converted wrongly, so fetch or convert it again"
            )
        if self.num_attention_heads > MOST_HEADS_PER_KEY_HEAD * self.num_key_value_heads:
            raise UnsupportedModelError(
                f"{self.num_attention_heads} attention heads share {self.num_key_value_heads} "
                f"key-value heads; Puna runs up to {MOST_HEADS_PER_KEY_HEAD} over each, "
                "so use another model"
            )
        if self.head_dim % HEAD_DIM_STEP:
            raise UnsupportedModelError(
                f"attention heads have {self.head_dim} values; "
                f"Puna runs multiples of {HEAD_DIM_STEP}, so use another model"
            )

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> LlamaConfig:
        """Read the shape.

        Raises UnsupportedModelError for another architecture, naming it, and
        MalformedFileError for numbers that no network can have.
        """
        read = _from_gguf if checkpoint.format == "gguf" else _from_config_json
        return read(checkpoint)


def _from_config_json(checkpoint: Checkpoint) -> LlamaConfig:
    """Read Hugging Face's names; what is absent takes the default of its LlamaConfig."""
    values = Metadata(checkpoint.path, checkpoint.metadata)
    _refuse_other_architectures(values.path, values.get("model_type"))
    _refuse_variants(values)
    hidden, heads = values.count("hidden_size"), values.count("num_attention_heads")
    rope = values.table("rope_parameters") or values  # transformers 5 moved theta in there
    return LlamaConfig(
        hidden_size=hidden,
        intermediate_size=values.count("intermediate_size"),
        num_hidden_layers=values.count("num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=values.count("num_key_value_heads", heads),
        head_dim=values.count("head_dim", hidden // heads),
        vocab_size=values.count("vocab_size"),
        max_position_embeddings=values.count("max_position_embeddings", 2048),
        rms_norm_eps=values.number("rms_norm_eps", 1e-6),
        rope_theta=rope.number("rope_theta", 10000.0),
        rope_scaling=_json_scaling(values),
        tie_word_embeddings=values.flag("tie_word_embeddings"),
    )


def _from_gguf(checkpoint: Checkpoint) -> LlamaConfig:
    """Read GGUF's names, as its specification has them under "LLM"."""
    values = Metadata(checkpoint.path, checkpoint.metadata)
    _refuse_other_architectures(values.path, values.get("general.architecture"))
    _refuse_experts(values.path, values.get("llama.expert_count"))
    hidden = values.count("llama.embedding_length")
    heads = values.count("llama.attention.head_count")
    head_dim = values.count("llama.attention.key_length", hidden // heads)
    _refuse_partial_heads(values, head_dim)
    return LlamaConfig(
        hidden_size=hidden,
        intermediate_size=values.count("llama.feed_forward_length"),
        num_hidden_layers=values.count("llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=values.count("llama.attention.head_count_kv", heads),
        head_dim=head_dim,
        vocab_size=_embedding_rows(checkpoint),
        max_position_embeddings=values.count("llama.context_length"),
        rms_norm_eps=values.number("llama.attention.layer_norm_rms_epsilon"),
        rope_theta=values.number("llama.rope.freq_base", 10000.0),
        rope_scaling=_gguf_scaling(checkpoint, values, head_dim),
        tie_word_embeddings="output.weight" not in checkpoint.tensors,
    )


def _json_scaling(values: Metadata) -> RopeScaling | None:
    """Read `rope_scaling`, whose type older files call "type", or the newer `rope_parameters`."""
    scaling = values.table("rope_parameters") or values.table("rope_scaling")
    if scaling is None:
        return None
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "default":
        return None
    if kind == "linear":
        return LinearScaling(scaling.number("factor"))
    if kind == "llama3":
        return _llama3_scaling(scaling)
    raise _unsupported(values.path, f"RoPE scaling {kind!r}", "none, linear and llama3")


def _llama3_scaling(scaling: Metadata) -> Llama3Scaling:
    low, high = scaling.number("low_freq_factor"), scaling.number("high_freq_factor")
    if low >= high:
        raise MalformedFileError(
            f"{scaling.path}: low_freq_factor {low} must be below high_freq_factor {high}; "
            "fetch or convert the model again"
        )
    original = scaling.count("original_max_position_embeddings")
    return Llama3Scaling(scaling.number("factor"), low, high, original)


def _gguf_scaling(checkpoint: Checkpoint, values: Metadata, head_dim: int) -> RopeScaling | None:
    kind = values.get("llama.rope.scaling.type") or "none"
    if kind not in {"none", "linear"}:
        raise _unsupported(values.path, f"RoPE scaling {kind!r}", "none, linear and llama3")
    if "rope_freqs.weight" in checkpoint.tensors:
        return _divisors(checkpoint, head_dim)
    if kind == "linear":
        return LinearScaling(values.number("llama.rope.scaling.factor"))
    return None


def _divisors(checkpoint: Checkpoint, head_dim: int) -> FrequencyDivisors:
    tensor = checkpoint.tensors["rope_freqs.weight"]
    if tensor.shape != (head_dim // 2,):
        raise MalformedFileError(
            f"{checkpoint.path}: 'rope_freqs.weight' has shape {tensor.shape} but heads of "
            f"{head_dim} values need {(head_dim // 2,)}; fetch or convert the model again"
        )
    divisors = dequantise(tensor.data, tensor.type.name, head_dim // 2)
    if not (np.isfinite(divisors).all() and (divisors > 0).all()):
        raise MalformedFileError(
            f"{checkpoint.path}: 'rope_freqs.weight' must be finite and above zero; "
            "fetch or convert the model again"
        )
    return FrequencyDivisors(tuple(divisors.tolist()))


def _embedding_rows(checkpoint: Checkpoint) -> int:
    embedding = checkpoint.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise MalformedFileError(
            f"{checkpoint.path}: there is no matrix 'token_embd.weight', so the size of the "
            "vocabulary is unknown; fetch or convert the model again"
        )
    return Metadata(checkpoint.path, {"vocabulary": embedding.shape[0]}).count("vocabulary")


def _refuse_other_architectures(path: Path, name: Any) -> None:
    if name != "llama":
        raise UnsupportedModelError(
            f"{path}: the architecture is {repr(name)[:80]}; Puna runs 'llama' alone, "
            "so use a Llama model"
        )


def _refuse_variants(values: Metadata) -> None:
    """Refuse what config.json may change about a Llama and Puna does not follow."""
    for bias in ("attention_bias", "mlp_bias"):
        if values.flag(bias):
            raise _unsupported(values.path, f"{bias}: true", "linear layers without bias")
    activation = values.get("hidden_act")
    if activation not in {None, "silu"}:
        raise _unsupported(values.path, f"hidden_act {repr(activation)[:80]}", "silu")
    if values.get("quantization_config") is not None:
        raise _unsupported(
            values.path, "weights quantised in PyTorch", "F32, F16 and BF16 safetensors, and GGUF"
        )


def _refuse_experts(path: Path, count: Any) -> None:
    if count:
        raise _unsupported(path, f"a mixture of {count} experts", "dense Llamas")


def _refuse_partial_heads(values: Metadata, head_dim: int) -> None:
    for key in ("llama.attention.value_length", "llama.rope.dimension_count"):
        width = values.count(key, head_dim)
        if width != head_dim:
            raise _unsupported(values.path, f"{key} {width}", f"the whole head, {head_dim}, here")


def _unsupported(path: Path, what: str, supported: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{path}: this Llama has {what}, which Puna does not run; it runs {supported}"
    )
