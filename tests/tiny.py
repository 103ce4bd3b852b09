"""A tiny Llama with fixed random weights, as GGUF and as safetensors.

In: a shape and a seed.  Out: files that every reader of real Llamas accepts,
both formats with the same weights.  Does not compute anything with them; the
tokenizer is that of tests/tiny_tokenizer.py.

    tiny = TinyLlama(seed=1, tied=True, rope_scaling=True)
    tiny.config                                # what config.json says, as a dict
    tiny.tensors                               # Hugging Face name -> float32 array
    tiny.tokens, tiny.special                  # token texts by id; control token -> id
    tiny.write_gguf(path)                      # every matrix F32
    tiny.write_gguf(path, types="Q4_0")        # every matrix Q4_0, norms F32
    tiny.write_gguf(path, types={"output.weight": "Q6_K", "*": "Q4_K"})   # first pattern wins
    tiny.write_gguf(path, types="Q8_0", shards=3)  # returns the first shard's path
    tiny.write_safetensors(folder, dtype="BF16", shards=2)

Row lengths are `hidden`, `intermediate` and `heads * head_dim`: K types need
multiples of 256 (`TinyLlama.for_k_types()`), the other block types of 32.
Weights that `write_gguf` rounds to a block type differ from `tensors`; compare
formats with F32, or F16 and BF16 on both sides.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from math import pi
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from puna.kernels import blocks
from tests import tiny_tokenizer
from tests.tiny_tokenizer import CHAT_TEMPLATE, MERGES, SPECIAL, SPECIAL_IDS, TOKENS

F32Array = NDArray[np.float32]

ROPE_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True)
class TinyLlama:
    """The shape; everything else follows from it and the seed."""

    seed: int = 0
    hidden: int = 64
    intermediate: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    tied: bool = False
    rope_scaling: bool = False
    rope_theta: float = 10000.0
    chat_template: str = CHAT_TEMPLATE  # of its GGUF

    @classmethod
    def for_k_types(cls, **shape: Any) -> TinyLlama:
        """A shape whose rows fill the super-blocks of 256."""
        return cls(**{"hidden": 256, "intermediate": 512, "head_dim": 64, **shape})

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token's text, by id."""
        return TOKENS

    @property
    def special(self) -> dict[str, int]:
        """Control tokens: text -> id."""
        return SPECIAL_IDS

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": len(TOKENS),
            "max_position_embeddings": 131072 if self.rope_scaling else 2048,
            "rms_norm_eps": 1e-5,
            "rope_theta": self.rope_theta,
            "rope_scaling": ROPE_SCALING if self.rope_scaling else None,
            "tie_word_embeddings": self.tied,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "torch_dtype": "float32",
            "bos_token_id": SPECIAL_IDS["<|begin_of_text|>"],
            "eos_token_id": [SPECIAL_IDS["<|end_of_text|>"], SPECIAL_IDS["<|eot_id|>"]],
        }

    @cached_property
    def tensors(self) -> dict[str, F32Array]:
        """Hugging Face names and layout; matrices are (outputs, inputs)."""
        random = np.random.default_rng(self.seed)
        return {name: _random_weight(random, shape) for name, shape in self._shapes()}

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        vocabulary = len(TOKENS)
        yield "model.embed_tokens.weight", (vocabulary, self.hidden)
        for layer in range(self.layers):
            for name, shape in self._layer_shapes():
                yield f"model.layers.{layer}.{name}.weight", shape
        yield "model.norm.weight", (self.hidden,)
        if not self.tied:
            yield "lm_head.weight", (vocabulary, self.hidden)

    def _layer_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "input_layernorm", (self.hidden,)
        yield "self_attn.q_proj", (queries, self.hidden)
        yield "self_attn.k_proj", (keys, self.hidden)
        yield "self_attn.v_proj", (keys, self.hidden)
        yield "self_attn.o_proj", (self.hidden, queries)
        yield "post_attention_layernorm", (self.hidden,)
        yield "mlp.gate_proj", (self.intermediate, self.hidden)
        yield "mlp.up_proj", (self.intermediate, self.hidden)
        yield "mlp.down_proj", (self.hidden, self.intermediate)

    @property
    def rope_factors(self) -> F32Array:
        """What GGUF keeps in rope_freqs.weight: divisors of the head_dim / 2 frequencies.

        Source: Llama 3.1's `apply_scaling` in Meta's llama-models.
        """
        halves = np.arange(0, self.head_dim, 2) / self.head_dim
        wavelengths = 2 * pi * self.rope_theta**halves  # in positions
        turns = 8192 / wavelengths
        smooth = (turns - 1.0) / (4.0 - 1.0)
        blended = 1 / ((1 - smooth) / 8.0 + smooth)
        factors = np.where(turns < 1.0, 8.0, np.where(turns > 4.0, 1.0, blended))
        return np.asarray(factors, dtype=np.float32)

    @property
    def gguf_tensors(self) -> dict[str, F32Array]:
        """GGUF's names and row order."""
        renamed = {gguf_name(name): self._permuted(name, w) for name, w in self.tensors.items()}
        if self.rope_scaling:
            renamed["rope_freqs.weight"] = self.rope_factors
        return renamed

    def _permuted(self, name: str, weight: F32Array) -> F32Array:
        """GGUF interleaves the two halves of each query and key head for rotary embedding."""
        if "q_proj" not in name and "k_proj" not in name:
            return weight
        halves = weight.reshape(-1, 2, self.head_dim // 2, self.hidden)
        return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))

    def write_gguf(
        self, path: Path, types: str | Mapping[str, str] = "F32", *, shards: int = 1
    ) -> Path:
        """Write the model; returns the path to open (of several shards the first)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        patterns = {"*": types} if isinstance(types, str) else types
        names = list(self.gguf_tensors)
        per_shard = -(-len(names) // shards) if shards > 1 else 0
        writer = gguf.GGUFWriter(path, "llama", split_max_tensors=per_shard)
        self._write_metadata(writer)
        for name, values in self.gguf_tensors.items():
            _add_tensor(writer, name, values, patterns)
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.with_name(f"{path.stem}-00001-of-{shards:05}.gguf") if shards > 1 else path

    def _write_metadata(self, writer: gguf.GGUFWriter) -> None:
        config = self.config
        writer.add_name("Tiny Llama")
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(self.hidden)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(self.intermediate)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        writer.add_rope_dimension_count(self.head_dim)
        writer.add_rope_freq_base(self.rope_theta)
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_vocab_size(len(TOKENS))
        self._write_tokenizer(writer)

    def _write_tokenizer(self, writer: gguf.GGUFWriter) -> None:
        plain, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_list(list(TOKENS))
        writer.add_token_types([control if text in SPECIAL else plain for text in TOKENS])
        writer.add_token_merges([f"{left} {right}" for left, right in MERGES])
        writer.add_bos_token_id(SPECIAL_IDS["<|begin_of_text|>"])
        writer.add_eos_token_id(SPECIAL_IDS["<|eot_id|>"])
        writer.add_chat_template(self.chat_template)

    def write_safetensors(self, folder: Path, dtype: str = "F32", *, shards: int = 1) -> Path:
        """Write config.json, the tokenizer and the weights into `folder`; returns it."""
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / "config.json", self.config)
        _write_json(folder / "tokenizer.json", tiny_tokenizer.tokenizer_json())
        _write_json(folder / "tokenizer_config.json", tiny_tokenizer.tokenizer_config())
        _write_json(
            folder / "generation_config.json",
            {key: self.config[key] for key in ("bos_token_id", "eos_token_id")},
        )
        if shards == 1:
            write_safetensors_file(folder / "model.safetensors", self.tensors, dtype)
        else:
            self._write_shards(folder, dtype, shards)
        return folder

    def _write_shards(self, folder: Path, dtype: str, shards: int) -> None:
        names = list(self.tensors)
        files = [f"model-{number + 1:05}-of-{shards:05}.safetensors" for number in range(shards)]
        placement = {name: files[number % shards] for number, name in enumerate(names)}
        for file in files:
            held = {name: self.tensors[name] for name in names if placement[name] == file}
            write_safetensors_file(folder / file, held, dtype)
        index = {"metadata": {}, "weight_map": placement}
        _write_json(folder / "model.safetensors.index.json", index)


def gguf_name(name: str) -> str:
    """model.layers.0.self_attn.q_proj.weight -> blk.0.attn_q.weight."""
    outside = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in outside:
        return outside[name]
    _, _, layer, inner = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[inner]}.weight"


def quantised(values: F32Array, type_name: str) -> NDArray[np.uint8]:
    """`values` as the bytes of a block type, (rows, row bytes)."""
    return blocks.quantise(values, type_name).reshape(values.shape[0], -1)


def write_safetensors_file(path: Path, tensors: Mapping[str, F32Array], dtype: str) -> None:
    """One safetensors file of F32, F16 or BF16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    pieces: list[bytes] = []
    offset = 0
    for name, values in tensors.items():
        pieces.append(blocks.quantise(values, dtype).tobytes())
        span = [offset, offset + len(pieces[-1])]
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": span}
        offset = span[1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(pieces))


def _add_tensor(
    writer: gguf.GGUFWriter, name: str, values: F32Array, patterns: Mapping[str, str]
) -> None:
    type_name = next((t for pattern, t in patterns.items() if fnmatch(name, pattern)), "F32")
    if values.ndim == 1 or type_name == "F32":
        writer.add_tensor(name, values)
        return
    raw_type = gguf.GGMLQuantizationType[type_name]
    writer.add_tensor(name, quantised(values, type_name), raw_dtype=raw_type)


def _random_weight(random: np.random.Generator, shape: tuple[int, ...]) -> F32Array:
    """Norms near one; matrices scaled so that activations keep their size."""
    noise = random.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return 1 + np.float32(0.1) * noise
    return noise / np.float32(np.sqrt(shape[1]))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
