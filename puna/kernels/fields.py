"""A block's fields: how they are read and filled, and how values round to what they hold.

In: structured arrays of blocks, or float32 values and their scales.  Out: columns
of float32, small integers, filled blocks.  Knows no block layout.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Blocks: TypeAlias = NDArray[Any]  # (blocks,) of one structured dtype
Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.integer[Any]]

LARGEST_HALF = np.float32(65504.0)


def column(blocks: Blocks, field: str) -> Floats:
    """Read a scalar field of every block: (blocks, 1) float32."""
    values: Floats = blocks[field].astype(np.float32)
    return values[:, None]


def filled(layout: np.dtype[Any], **fields: NDArray[Any]) -> Blocks:
    """Make blocks of their fields, each (blocks, ...)."""
    blocks = np.empty(len(fields["d"]), layout)
    for name, values in fields.items():
        blocks[name] = values
    return blocks


def half(scale: Floats) -> Floats:
    """Round scales to what float16 can hold; still float32."""
    return np.clip(scale, -LARGEST_HALF, LARGEST_HALF).astype(np.float16).astype(np.float32)


def levels(values: Floats, scale: Floats, low: int, high: int) -> Integers:
    """Round values / scale to integers of [low, high]; a scale of zero gives zero."""
    scale = np.broadcast_to(scale, values.shape)
    with np.errstate(over="ignore"):  # a value over a subnormal scale: clipped below
        ratio = np.divide(values, scale, out=np.zeros_like(values), where=scale != 0)
    return np.clip(np.rint(ratio), low, high).astype(np.int32)


def largest(values: Floats) -> Floats:
    """Find the value farthest from zero along the last axis, with its sign: (..., 1)."""
    index = np.abs(values).argmax(axis=-1, keepdims=True)
    return np.take_along_axis(values, index, axis=-1)
