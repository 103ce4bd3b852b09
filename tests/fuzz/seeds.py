"""Small sound files with one of everything, to be mutated.

Out: bytes of a GGUF file, of a whole model in GGUF, and of a safetensors file.  Does
not know how they will be spoilt.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from puna.formats import blocks
from puna.formats.gguf_writer import TensorSource, Value, write_gguf
from puna.kernels.blocks import quantise
from tests.tiny import TinyLlama, write_safetensors_file

ROWS, COLUMNS = 4, 256  # one super-block a row

METADATA: dict[str, Value] = {
    "general.architecture": "llama",
    "general.alignment": 32,
    "llama.block_count": 1,
    "llama.context_length": 2**40,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": [*"abcdefghij", "ab", "Ġc", "grüß", "🦙", ""],
    "tokenizer.ggml.token_type": np.ones(15, np.int32),
    "tokenizer.ggml.scores": np.zeros(15, np.float32),
    "tokenizer.ggml.merges": ["a b", "Ġ c"],
    "tokenizer.chat_template": "{{ messages[0].content }}",
    "a.bool": True,
    "a.uint8": np.uint8(8),
    "an.int16": np.int16(-16),
    "a.float64": np.float64(0.1),
    "some.bools": np.array([True, False]),
    "some.int64": np.array([1, -1]),
}


def gguf_seed() -> bytes:
    """Every block type once, nearly every value type, a vocabulary."""
    sources = [_source(block) for block in blocks.SUPPORTED]
    with tempfile.TemporaryDirectory() as folder:
        write_gguf(Path(folder, "seed.gguf"), METADATA, sources)
        return Path(folder, "seed.gguf").read_bytes()


def model_seed() -> bytes:
    """A Llama of one layer that runs."""
    types = {"token_embd*": "Q8_0", "*attn_output*": "Q5_1", "*attn*": "Q4_1", "*": "Q5_0"}
    with tempfile.TemporaryDirectory() as folder:
        tiny = TinyLlama(
            hidden=32,
            intermediate=64,
            layers=1,
            heads=2,
            kv_heads=1,
            tied=True,
            rope_scaling=True,
        )
        return tiny.write_gguf(Path(folder, "seed.gguf"), types).read_bytes()


def safetensors_seed() -> bytes:
    """Three tensors of different shapes."""
    weights = {"norm": _noise(1)[0], "weight": _noise(2), "model.layers.0.w": _noise(3)}
    with tempfile.TemporaryDirectory() as folder:
        write_safetensors_file(Path(folder, "seed.safetensors"), weights, "F16")
        return Path(folder, "seed.safetensors").read_bytes()


def _source(block: blocks.BlockType) -> TensorSource:
    raw = quantise(_noise(block.ggml_id), block.name).tobytes()
    return TensorSource(f"w.{block.name}", block, (ROWS, COLUMNS), _once(raw))


def _once(raw: bytes) -> Callable[[], list[bytes]]:
    return lambda: [raw]


def _noise(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((ROWS, COLUMNS), dtype=np.float32)
