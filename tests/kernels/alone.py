"""One kernel at a time: a backend, an operation, its result.

In: a `Kernels` and a network of one operation.  Out: the rows that it computes.
Also makes weights of every block type, gentle and extreme.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from puna.kernels import BLOCK_TOKENS, Batch, Kernels, Network, Shape
from puna.kernels.blocks import LAYOUTS, quantise

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

FLOAT_TYPES = [name for name, layout in LAYOUTS.items() if layout.block_values == 1]
BLOCK_TYPES = [name for name, layout in LAYOUTS.items() if layout.block_values > 1]

EXTREMES = {"zeros": 0x00, "ones": 0xFF, "largest": 0x7F, "smallest": 0x80, "alternating": 0x55}
"""Bytes that fill the integers of a block: each pushes some type's levels to an end."""


def shape(**changes: int) -> Shape:
    """Describe a backend that is large enough for these tests."""
    sizes: dict[str, Any] = {
        "layers": 1,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
        "kv_blocks": 8,
        "max_batch_tokens": 64,
        "context_tokens": 256,
    }
    return Shape(**{**sizes, **changes})


def rows_batch(
    rows: int, tokens: Sequence[int] | None = None, wanted: Sequence[int] | None = None
) -> Batch:
    """Describe one sequence that starts with `rows` tokens, and wants them all unless told."""
    blocks = range(-(-rows // BLOCK_TOKENS))
    return Batch(
        tokens=np.asarray(range(rows) if tokens is None else tokens, np.int32),
        positions=np.arange(rows, dtype=np.int32),
        sequence_starts=np.array([0, rows], np.int32),
        kv_lengths=np.array([rows], np.int32),
        block_tables=np.asarray([blocks], np.int32),
        output_rows=np.asarray(range(rows) if wanted is None else wanted, np.int32),
    )


def compute(kernels: Kernels, network: Network, rows: int) -> Floats:
    """Run a network over `rows` rows."""
    return kernels.run(network, rows_batch(rows))


def gentle_weights(type_name: str, rows: int, columns: int, seed: int) -> Bytes:
    """Quantise values as a trained layer has them."""
    values = np.random.default_rng(seed).normal(0, 0.05, (rows, columns)).astype(np.float32)
    return quantise(values, type_name)


def random_weights(type_name: str, rows: int, columns: int, seed: int) -> Bytes:
    """Draw random bytes, which use all levels of the integers, under sane scales."""
    layout, random = LAYOUTS[type_name], np.random.default_rng(seed)
    if type_name in FLOAT_TYPES:
        return quantise(random.uniform(-3, 3, (rows, columns)).astype(np.float32), type_name)
    data = random.integers(0, 256, layout.nbytes(rows * columns), dtype=np.uint8)
    return _sanely_scaled(data, type_name, random)


def extreme_weights(type_name: str, rows: int, columns: int, fill: int) -> Bytes:
    """Fill every integer of the blocks with the same bits."""
    data = np.full(LAYOUTS[type_name].nbytes(rows * columns), fill, np.uint8)
    return _sanely_scaled(data, type_name, np.random.default_rng(fill))


def _sanely_scaled(data: Bytes, type_name: str, random: np.random.Generator) -> Bytes:
    blocks = data.view(LAYOUTS[type_name].fields)
    for field in {"d", "m", "dmin"} & set(blocks.dtype.names or ()):
        blocks[field] = random.uniform(0.01, 0.1, len(blocks))
    return data


def activations(rows: int, columns: int, seed: int) -> Floats:
    """Draw activations as a norm leaves them, one of them a hundred times the rest."""
    x = np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)
    x[0, columns // 2] = 100
    return x


def extreme_activations(columns: int) -> Floats:
    """Lay out rows that push the rounded activations to their ends: (5, columns)."""
    signs = np.where(np.arange(columns) % 2, -1, 1)
    rows = [np.ones(columns), -np.ones(columns), signs, np.zeros(columns), 1e-30 * signs]
    return np.asarray(rows, np.float32)
