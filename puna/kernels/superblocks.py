"""The block types of 256 values, ggml's K-quants: scales of sub-blocks, themselves quantised.

In: structured arrays, one super-block each, or (blocks, 256) float32.  Out: the
other.  Layouts as in ggml-common.h; a weight is d * scale * q, less dmin * min in
the types with a min.
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

Q2_K = np.dtype([("scale_min", "u1", 16), ("q", "u1", 64), ("d", "<f2"), ("dmin", "<f2")])
Q3_K = np.dtype([("high", "u1", 32), ("q", "u1", 64), ("scales", "u1", 12), ("d", "<f2")])
Q4_K = np.dtype([("d", "<f2"), ("dmin", "<f2"), ("scales", "u1", 12), ("q", "u1", 128)])
Q5_K = np.dtype(
    [("d", "<f2"), ("dmin", "<f2"), ("scales", "u1", 12), ("high", "u1", 32), ("q", "u1", 128)]
)
Q6_K = np.dtype([("q", "u1", 128), ("high", "u1", 64), ("scales", "i1", 16), ("d", "<f2")])


def dequantise_q2_k(blocks: Blocks) -> Floats:
    """Two bits; 16 sub-blocks with scale and min of four bits each."""
    scale, low = blocks["scale_min"] & 15, blocks["scale_min"] >> 4
    return _above_mins(blocks, scale, low, _unpack(blocks["q"], 2, 32))


def dequantise_q3_k(blocks: Blocks) -> Floats:
    """Three bits, of which 4 is zero; 16 sub-blocks with scales of six bits, 32 of them zero."""
    q = _unpack(blocks["q"], 2, 32) | _unpack(blocks["high"], 1, 32) << 2
    return _around_zero(blocks, _unpack_scales_q3_k(blocks["scales"]), q, 4)


def dequantise_q4_k(blocks: Blocks) -> Floats:
    """Four bits; 8 sub-blocks with scale and min of six bits each."""
    scale, low = _unpack_scales_mins(blocks["scales"])
    return _above_mins(blocks, scale, low, _unpack(blocks["q"], 4, 32))


def dequantise_q5_k(blocks: Blocks) -> Floats:
    """Five bits; 8 sub-blocks with scale and min of six bits each."""
    scale, low = _unpack_scales_mins(blocks["scales"])
    q = _unpack(blocks["q"], 4, 32) | _unpack(blocks["high"], 1, 32) << 4
    return _above_mins(blocks, scale, low, q)


def dequantise_q6_k(blocks: Blocks) -> Floats:
    """Six bits, of which 32 is zero; 16 sub-blocks with scales of a signed byte."""
    q = _unpack(blocks["q"], 4, 64) | _unpack(blocks["high"], 2, 32) << 4
    return _around_zero(blocks, blocks["scales"], q, 32)


def quantise_q2_k(values: Floats) -> Blocks:
    """Let each sub-block span 0 to 3."""
    d, dmin, scale, low, q = _span(values.reshape(-1, 16, 16), 3, 15)
    scale_min = (scale | low << 4).astype(np.uint8)
    return filled(Q2_K, d=d, dmin=dmin, scale_min=scale_min, q=_pack(q, 2, 32))


def quantise_q3_k(values: Floats) -> Blocks:
    """Let the value of each sub-block that is farthest from zero become -4."""
    d, scale, q = _centre(values.reshape(-1, 16, 16), 4, 31)
    return filled(
        Q3_K,
        d=d,
        scales=_pack_scales_q3_k(scale + 32),
        q=_pack(q & 3, 2, 32),
        high=_pack(q >> 2, 1, 32),
    )


def quantise_q4_k(values: Floats) -> Blocks:
    """Let each sub-block span 0 to 15."""
    d, dmin, scale, low, q = _span(values.reshape(-1, 8, 32), 15, 63)
    return filled(Q4_K, d=d, dmin=dmin, scales=_pack_scales_mins(scale, low), q=_pack(q, 4, 32))


def quantise_q5_k(values: Floats) -> Blocks:
    """Let each sub-block span 0 to 31."""
    d, dmin, scale, low, q = _span(values.reshape(-1, 8, 32), 31, 63)
    scales = _pack_scales_mins(scale, low)
    high, nibbles = _pack(q >> 4, 1, 32), _pack(q & 15, 4, 32)
    return filled(Q5_K, d=d, dmin=dmin, scales=scales, high=high, q=nibbles)


def quantise_q6_k(values: Floats) -> Blocks:
    """Let the value of each sub-block that is farthest from zero become -32."""
    d, scale, q = _centre(values.reshape(-1, 16, 16), 32, 127)
    return filled(Q6_K, d=d, scales=scale, q=_pack(q & 15, 4, 64), high=_pack(q >> 4, 2, 32))


def _above_mins(blocks: Blocks, scale: Integers, low: Integers, q: Integers) -> Floats:
    """Compute (d * scale) * q - (dmin * low), in ggml's order of rounding."""
    step = (column(blocks, "d") * scale.astype(np.float32))[:, :, None]
    base = (column(blocks, "dmin") * low.astype(np.float32))[:, :, None]
    subblocks = q.reshape(*scale.shape, -1).astype(np.float32)
    return (step * subblocks - base).reshape(q.shape)


def _around_zero(blocks: Blocks, scale: Integers, q: Integers, zero: int) -> Floats:
    """Compute (d * scale) * (q - zero), in ggml's order of rounding."""
    step = (column(blocks, "d") * scale.astype(np.float32))[:, :, None]
    subblocks = q.reshape(*scale.shape, -1).astype(np.float32) - np.float32(zero)
    return (step * subblocks).reshape(q.shape)


def _span(
    values: Floats, top: int, scale_top: int
) -> tuple[Floats, Floats, Integers, Integers, Integers]:
    """Quantise (blocks, sub-blocks, values) above their mins: d, dmin, scale, min, q."""
    base = np.minimum(values.min(axis=2), 0)
    step = (np.maximum(values.max(axis=2), 0) - base) / np.float32(top)
    d, scale = _nested(step, scale_top)
    dmin, low = _nested(-base, scale_top)
    offsets = (dmin[:, None] * low).astype(np.float32)[:, :, None]
    steps = (d[:, None] * scale).astype(np.float32)[:, :, None]
    return d, dmin, scale, low, levels(values + offsets, steps, 0, top).reshape(len(values), -1)


def _centre(values: Floats, zero: int, scale_top: int) -> tuple[Floats, Integers, Integers]:
    """Quantise (blocks, sub-blocks, values) around `zero`: d, signed scale, q."""
    d, scale = _nested(largest(values)[:, :, 0] / np.float32(-zero), scale_top)
    steps = (d[:, None] * scale).astype(np.float32)[:, :, None]
    q = levels(values, steps, -zero, zero - 1) + zero
    return d, scale, q.reshape(len(values), -1)


def _nested(steps: Floats, top: int) -> tuple[Floats, Integers]:
    """Quantise the sub-blocks' own steps: a float16 scale for each block, and integers."""
    d = half(np.abs(steps).max(axis=1) / np.float32(top))
    return d, levels(steps, d[:, None], -top, top)


def _unpack(packed: Integers, bits: int, stride: int) -> Integers:
    """Unpack `stride` bytes at a time: first the lowest `bits` of all of them, then the next."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    groups = packed.reshape(len(packed), -1, 1, stride) >> shifts
    return (groups & ((1 << bits) - 1)).reshape(len(packed), -1)


def _pack(q: Integers, bits: int, stride: int) -> Integers:
    """Undo `_unpack`."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    groups = q.astype(np.uint8).reshape(len(q), -1, 8 // bits, stride) << shifts
    packed: Integers = np.bitwise_or.reduce(groups, axis=2)
    return packed.reshape(len(q), -1)


def _unpack_scales_mins(packed: Integers) -> tuple[Integers, Integers]:
    """Unpack 8 scales and 8 mins of six bits from 12 bytes.

    Bytes 0-3 and 4-7 hold scales and mins 0-3; their upper two bits are those of scales and
    mins 4-7, whose lower four bits share bytes 8-11.
    """
    first, second, nibbles = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([first & 63, nibbles & 15 | first >> 6 << 4], axis=1)
    mins = np.concatenate([second & 63, nibbles >> 4 | second >> 6 << 4], axis=1)
    return scales, mins


def _pack_scales_mins(scale: Integers, low: Integers) -> Integers:
    """Undo `_unpack_scales_mins`."""
    first = scale[:, :4] | scale[:, 4:] >> 4 << 6
    second = low[:, :4] | low[:, 4:] >> 4 << 6
    nibbles = scale[:, 4:] & 15 | (low[:, 4:] & 15) << 4
    return np.concatenate([first, second, nibbles], axis=1).astype(np.uint8)


def _unpack_scales_q3_k(packed: Integers) -> Integers:
    """Unpack 16 scales: low nibbles from bytes 0-7, upper two bits from bytes 8-11."""
    scales = _unpack(packed[:, :8], 4, 8) | _unpack(packed[:, 8:], 2, 4) << 4
    return scales.astype(np.int8) - np.int8(32)


def _pack_scales_q3_k(scale: Integers) -> Integers:
    """Undo `_unpack_scales_q3_k`, of which 32 is zero."""
    return np.concatenate([_pack(scale & 15, 4, 8), _pack(scale >> 4, 2, 4)], axis=1)
