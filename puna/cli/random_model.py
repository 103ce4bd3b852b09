"""A file of a Llama's shape with random weights, to measure what cannot be shipped.

In: a shape and a quantisation.  Out: a GGUF file that any reader of Llamas opens, made
once and kept.  Its answers mean nothing; its size and its speed are the real ones.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from puna.cli.progress import Progress
from puna.cli.shapes import Shape
from puna.errors import SettingError
from puna.formats.blocks import BlockType
from puna.formats.gguf_writer import TensorSource, write_gguf
from puna.text.alphabet import BYTE_CHARACTERS

PIECE_BYTES = 16 * 2**20
SPARE_BYTES = 256 * 2**20  # what a disk keeps free beside the file
DEVIATION = 0.02  # of the weights, as in a trained Llama
SEED = 20240723  # any constant: every machine measures the same file

# Where each block type keeps its float16 scales, what each is as a multiple of the first,
# and the deviation of the weights if the first were 1 and all other bits random.
SCALES: dict[str, tuple[float, dict[int, float]]] = {
    "Q8_0": (73.9, {0: 1.0}),
    "Q4_0": (4.61, {0: 1.0}),
    "Q4_1": (4.61, {0: 1.0, 2: -7.5}),
    "Q5_0": (9.23, {0: 1.0}),
    "Q5_1": (9.23, {0: 1.0, 2: -15.5}),
    "Q2_K": (13.9, {80: 1.0, 82: 1.5}),
    "Q3_K": (43.3, {108: 1.0}),
    "Q4_K": (258.0, {0: 1.0, 2: 7.5}),
    "Q5_K": (527.0, {0: 1.0, 2: 15.5}),
    "Q6_K": (1366.0, {208: 1.0}),
}


def random_model(folder: Path, shape: Shape, quant: str, progress: Progress) -> Path:
    """Return the file of that shape in `folder`, writing it if it is not there yet."""
    path = folder / f"random-{shape.name.lower()}-{quant.lower()}.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _need_room(folder, shape.weight_bytes(quant))
        write_gguf(path, _metadata(shape), _sources(shape, quant, progress))
    return path


def _need_room(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes + SPARE_BYTES:
        raise SettingError(
            f"{folder}: the file takes {n_bytes / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free; "
            "make room, or set PUNA_HOME to a larger disk"
        )


def _sources(shape: Shape, quant: str, progress: Progress) -> list[TensorSource]:
    total, done = shape.weight_bytes(quant), 0

    def counted(pieces: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        nonlocal done
        for piece in pieces():
            yield piece
            done += len(piece)
            progress(done, total)

    sources = []
    for seed, (name, dimensions) in enumerate(shape.tensors(), start=SEED):
        block = shape.block_type(quant, name)
        pieces = partial(random_pieces, block, dimensions, seed)
        sources.append(TensorSource(name, block, dimensions, partial(counted, pieces)))
    return sources


def random_pieces(block: BlockType, shape: tuple[int, ...], seed: int) -> Iterator[bytes]:
    """Make a tensor's bytes: ones for a norm, random blocks for a matrix."""
    if len(shape) == 1:
        yield np.ones(shape, np.float32).tobytes()
        return
    rng = np.random.Generator(np.random.SFC64(seed))
    left = prod(shape) // block.block_values
    while left:
        blocks = min(left, PIECE_BYTES // block.block_bytes)
        yield _random_blocks(block, blocks, rng).tobytes()
        left -= blocks


def _random_blocks(block: BlockType, blocks: int, rng: np.random.Generator) -> NDArray[Any]:
    if block.name not in SCALES:
        return _random_floats(block, blocks, rng)
    deviation, fields = SCALES[block.name]
    raw = np.frombuffer(rng.bytes(blocks * block.block_bytes), np.uint8)
    raw = raw.reshape(blocks, block.block_bytes).copy()
    for offset, multiple in fields.items():
        scale = np.array([DEVIATION / deviation * multiple], "<f2")
        raw[:, offset : offset + 2] = scale.view(np.uint8)
    return raw


def _random_floats(block: BlockType, values: int, rng: np.random.Generator) -> NDArray[Any]:
    floats = rng.random(values, np.float32)
    floats = (floats - np.float32(0.5)) * np.float32(DEVIATION * 12**0.5)
    if block.name == "BF16":
        return floats.view(np.uint16)[1::2].copy()  # little-endian: the upper half
    return floats.astype("<f2" if block.name == "F16" else "<f4")


def _metadata(shape: Shape) -> dict[str, Any]:
    facts = {
        "block_count": shape.layers,
        "context_length": shape.max_position_embeddings,
        "embedding_length": shape.hidden_size,
        "feed_forward_length": shape.intermediate_size,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": shape.head_dim,
        "rope.freq_base": 500_000.0,
        "vocab_size": shape.vocab_size,
    }
    return {
        "general.architecture": "llama",
        "general.name": f"random weights of the shape of Llama {shape.name}",
        **{f"llama.{key}": value for key, value in facts.items()},
        **_vocabulary(shape.vocab_size),
    }


def _vocabulary(size: int) -> dict[str, Any]:
    """The smallest vocabulary that byte-level BPE allows, filled up with names."""
    first, second = BYTE_CHARACTERS[:2]
    named = [*BYTE_CHARACTERS, first + second]
    tokens = [*named, *(f"<{number}>" for number in range(len(named), size))]
    normal, control = 1, 3  # ggml's token types
    types = np.full(size, normal, np.int32)
    types[-2:] = control
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [f"{first} {second}"],
        "tokenizer.ggml.bos_token_id": size - 2,
        "tokenizer.ggml.eos_token_id": size - 1,
    }
