"""The block types of 32 values: one float16 scale, and one offset in the `_1` types.

In: structured arrays, one block each, or (blocks, 32) float32.  Out: the other.
Layouts as in ggml-common.h; a weight is d * q, or d * q + m.
"""

from __future__ import annotations

import numpy as np

from puna.kernels.fields import (
    Blocks,
    Floats,
    Integers,
    column,
    filled,
    half,
    largest,
    levels,
)

Q8_0 = np.dtype([("d", "<f2"), ("q", "i1", 32)])
Q4_0 = np.dtype([("d", "<f2"), ("low", "u1", 16)])
Q4_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("low", "u1", 16)])
Q5_0 = np.dtype([("d", "<f2"), ("high", "u1", 4), ("low", "u1", 16)])
Q5_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("high", "u1", 4), ("low", "u1", 16)])


def dequantise_q8_0(blocks: Blocks) -> Floats:
    """Signed bytes."""
    return column(blocks, "d") * blocks["q"].astype(np.float32)


def dequantise_q4_0(blocks: Blocks) -> Floats:
    """Four bits, of which 8 is zero."""
    return column(blocks, "d") * (_nibbles(blocks) - np.float32(8))


def dequantise_q4_1(blocks: Blocks) -> Floats:
    """Four bits above an offset."""
    return column(blocks, "d") * _nibbles(blocks) + column(blocks, "m")


def dequantise_q5_0(blocks: Blocks) -> Floats:
    """Five bits, of which 16 is zero."""
    return column(blocks, "d") * (_nibbles(blocks) + _fifth_bits(blocks) - np.float32(16))


def dequantise_q5_1(blocks: Blocks) -> Floats:
    """Five bits above an offset."""
    q = _nibbles(blocks) + _fifth_bits(blocks)
    return column(blocks, "d") * q + column(blocks, "m")


def quantise_q8_0(values: Floats) -> Blocks:
    """Let the largest magnitude become 127."""
    d = half(np.abs(values).max(axis=1, keepdims=True) / np.float32(127))
    return filled(Q8_0, d=d[:, 0], q=levels(values, d, -127, 127))


def quantise_q4_0(values: Floats) -> Blocks:
    """Let the value farthest from zero become -8."""
    d = half(largest(values) / np.float32(-8))
    q = levels(values, d, -8, 7) + 8
    return filled(Q4_0, d=d[:, 0], low=_pack_nibbles(q))


def quantise_q4_1(values: Floats) -> Blocks:
    """Let the values span 0 to 15."""
    d, m, q = _span(values, 15)
    return filled(Q4_1, d=d, m=m, low=_pack_nibbles(q))


def quantise_q5_0(values: Floats) -> Blocks:
    """Let the value farthest from zero become -16."""
    d = half(largest(values) / np.float32(-16))
    q = levels(values, d, -16, 15) + 16
    return filled(Q5_0, d=d[:, 0], high=_pack_fifth_bits(q), low=_pack_nibbles(q))


def quantise_q5_1(values: Floats) -> Blocks:
    """Let the values span 0 to 31."""
    d, m, q = _span(values, 31)
    return filled(Q5_1, d=d, m=m, high=_pack_fifth_bits(q), low=_pack_nibbles(q))


def _nibbles(blocks: Blocks) -> Floats:
    """Low four bits of each value; a byte holds those of values i and i + 16."""
    low = blocks["low"]
    return np.concatenate([low & 15, low >> 4], axis=1).astype(np.float32)


def _fifth_bits(blocks: Blocks) -> Floats:
    """16 where the fifth bit is set; bit i of the 32 is value i's."""
    return np.unpackbits(blocks["high"], axis=1, bitorder="little") * np.float32(16)


def _pack_nibbles(q: Integers) -> Integers:
    low = (q & 15).astype(np.uint8)
    return low[:, :16] | low[:, 16:] << 4


def _pack_fifth_bits(q: Integers) -> Integers:
    return np.packbits((q >> 4).astype(np.uint8), axis=1, bitorder="little")


def _span(values: Floats, top: int) -> tuple[Floats, Floats, Integers]:
    m = half(values.min(axis=1, keepdims=True))
    d = half((values.max(axis=1, keepdims=True) - m) / np.float32(top))
    return d[:, 0], m[:, 0], levels(values - m, d, 0, top)
