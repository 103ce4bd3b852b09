"""Every kernel in NumPy, computed at once: what the contract means.

In and out: float32 arrays, as `puna.kernels.Kernels` describes them.  Knows no
model; slow, and written to be read.  `activations="rounded"` and
`kv_dtype=np.float16` repeat the roundings of the native kernels, and nothing else
of how they work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from puna.kernels import BLOCK_TOKENS, Batch, BurstLimits, Draws, Network, Runner, Shape
from puna.kernels.blocks import LAYOUTS, dequantise
from puna.kernels.burst import run_burst
from puna.kernels.sampling import sample_rows

Floats: TypeAlias = NDArray[np.float32]
Rounding = Literal["exact", "rounded"]

ACTIVATION_BLOCK = 32
"""Values that share a scale when activations are rounded to integers."""

OUTLIER = 0.6
SUPERBLOCK_OUTLIER = 2.0
"""8-bit blocks whose scale is at least this many times the rms of the row's get a second part;
less often against K-quants, whose models are wide."""


@dataclass(frozen=True)
class Weights:
    """A matrix with the numbers that its blocks mean, and the levels its activations round to."""

    values: Floats  # (outputs, inputs)
    activation_levels: int | None  # largest magnitude of the integers; None leaves them float32
    outlier: float = OUTLIER


@dataclass(frozen=True)
class Rotations:
    """Cosines and sines, each (context_tokens, head_dim // 2)."""

    cos: Floats
    sin: Floats


class Eager:
    """The kernels' meaning.  Keeps `puna.kernels.Kernels`."""

    def __init__(
        self,
        shape: Shape,
        *,
        activations: Rounding = "exact",
        kv_dtype: type[np.floating[Any]] = np.float32,
    ) -> None:
        self.shape = shape
        self.activations = activations
        cache = (shape.layers, shape.kv_blocks, shape.kv_heads, BLOCK_TOKENS, shape.head_dim)
        self.keys = np.zeros(cache, kv_dtype)
        self.values = np.zeros(cache, kv_dtype)
        self._batch: Batch | None = None

    @property
    def batch(self) -> Batch:
        """The batch of the step that is being run."""
        assert self._batch is not None, "kernels are called inside run()"
        return self._batch

    def run(self, network: Network, batch: Batch) -> Floats:
        """Compute one step."""
        batch.check()
        assert batch.rows <= self.shape.max_batch_tokens
        self._batch = batch
        try:
            result: Floats = network(self)
        finally:
            self._batch = None
        return result

    def sample(self, logits: Floats, draws: Draws) -> NDArray[np.int32]:
        """Pick a token out of each row."""
        return sample_rows(logits, draws)

    def burst(self, network: Network, runners: Sequence[Runner], limits: BurstLimits) -> int:
        """Run one step after the other."""
        return run_burst(partial(self.run, network), self.sample, runners, limits)

    def copy_blocks(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Copy cache blocks of all layers, one pair after the other."""
        for source, target in pairs:
            self.keys[:, target] = self.keys[:, source]
            self.values[:, target] = self.values[:, source]

    def close(self) -> None:
        """Drop the cache."""
        self.keys = self.values = np.zeros(0, self.keys.dtype)

    # Weights

    def matrix(
        self,
        type_name: str,
        shape: tuple[int, int],
        data: NDArray[np.uint8],
        row_order: NDArray[np.int32] | None = None,
    ) -> Weights:
        """Turn blocks into numbers."""
        values = dequantise(data, type_name, shape[0] * shape[1]).reshape(shape)
        if row_order is not None:
            values = values[row_order]
        levels = activation_levels(type_name) if self.activations == "rounded" else None
        coarse = LAYOUTS[type_name].block_values == 256
        return Weights(values, levels, SUPERBLOCK_OUTLIER if coarse else OUTLIER)

    def bring_in(self, matrix: Weights) -> None:
        """Do nothing: the numbers were made in memory."""

    def vector(self, values: Floats) -> Floats:
        """Copy a norm's weights."""
        return values.astype(np.float32)

    def rope(self, cos: Floats, sin: Floats) -> Rotations:
        """Keep the rotations."""
        assert cos.shape == sin.shape == (self.shape.context_tokens, self.shape.head_dim // 2)
        return Rotations(cos, sin)

    # Operations

    def input(self, x: Floats) -> Floats:
        """Put a constant into the network."""
        return x

    def embed(self, table: Weights) -> Floats:
        """Look up the tokens' rows."""
        return table.values[self.batch.tokens]

    def rms_norm(self, x: Floats, weight: Floats, eps: float) -> Floats:
        """x / sqrt(mean(x^2) + eps) * weight."""
        mean_square = np.mean(np.square(x), axis=1, keepdims=True)
        normed: Floats = x / np.sqrt(mean_square + np.float32(eps))
        return normed * weight

    def linear(self, x: Floats, *matrices: Weights) -> Floats:
        """x W^T, side by side."""
        return np.concatenate([product(x, matrix) for matrix in matrices], axis=1)

    def linear_add(self, x: Floats, matrix: Weights, residual: Floats) -> Floats:
        """Residual + x W^T."""
        return residual + product(x, matrix)

    def swiglu(self, x: Floats, gate: Weights, up: Weights) -> Floats:
        """silu(x gate^T) * (x up^T)."""
        return silu(product(x, gate)) * product(x, up)

    def output_rows(self, x: Floats) -> Floats:
        """Keep the wanted rows."""
        return x[self.batch.output_rows]

    def attention(self, qkv: Floats, rope: Rotations, layer: int) -> Floats:
        """Rotate, append to the cache, attend."""
        q, k, v = self._split_heads(qkv)
        cos, sin = rope.cos[self.batch.positions], rope.sin[self.batch.positions]
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = np.empty_like(q)
        for index, sequence in enumerate(self.batch.sequences()):
            self._append(layer, index, k[sequence.rows], v[sequence.rows])
            keys = self._cached(self.keys[layer], sequence.blocks, sequence.kv_length)
            values = self._cached(self.values[layer], sequence.blocks, sequence.kv_length)
            positions = self.batch.positions[sequence.rows]
            attended[sequence.rows] = attend(q[sequence.rows], keys, values, positions)
        return attended.reshape(len(qkv), -1)

    def _split_heads(self, qkv: Floats) -> list[Floats]:
        """Split (rows, width) into queries, keys and values: (rows, heads, head_dim) each."""
        heads, kv_heads = self.shape.heads, self.shape.kv_heads
        by_head = qkv.reshape(len(qkv), -1, self.shape.head_dim)
        assert by_head.shape[1] == heads + 2 * kv_heads
        return np.split(by_head, [heads, heads + kv_heads], axis=1)

    def _append(self, layer: int, sequence: int, k: Floats, v: Floats) -> None:
        """Write (rows, kv_heads, head_dim) keys and values where the block table says."""
        end = int(self.batch.kv_lengths[sequence])
        for row, position in enumerate(range(end - len(k), end)):
            block = self.batch.block_tables[sequence, position // BLOCK_TOKENS]
            self.keys[layer, block, :, position % BLOCK_TOKENS] = self._kept(k[row])
            self.values[layer, block, :, position % BLOCK_TOKENS] = self._kept(v[row])

    def _kept(self, heads: Floats) -> Floats:
        """Round (kv_heads, head_dim) to bytes and a scale for each head, where so they are kept."""
        if self.shape.kv_type == "f16":
            return heads
        scale = np.abs(heads).max(axis=1, keepdims=True) / np.float32(127)
        return _round_to(heads, scale, 127)

    def _cached(self, cache: NDArray[Any], blocks: NDArray[np.int32], length: int) -> Floats:
        """Gather one sequence's tokens from its blocks: (kv_heads, length, head_dim)."""
        tokens = cache[blocks].swapaxes(0, 1)  # (kv_heads, blocks, BLOCK_TOKENS, head_dim)
        heads, _, _, width = tokens.shape
        return tokens.reshape(heads, -1, width)[:, :length].astype(np.float32)


def rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate each pair (x_i, x_{i + half}) of (rows, heads, head_dim) by its position's angle."""
    first, second = np.split(x, 2, axis=2)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=2)


def attend(q: Floats, keys: Floats, values: Floats, positions: NDArray[np.int32]) -> Floats:
    """Attend from (rows, heads, head_dim) queries to (kv_heads, tokens, head_dim) of the past."""
    rows, heads, width = q.shape
    grouped = q.reshape(rows, len(keys), -1, width).transpose(1, 2, 0, 3)
    scores = grouped @ keys[:, None].swapaxes(2, 3) / np.sqrt(np.float32(width))
    future = np.arange(keys.shape[1]) > positions[:, None]  # (rows, tokens)
    mixed = softmax(np.where(future, -np.inf, scores)) @ values[:, None]
    return mixed.transpose(2, 0, 1, 3).reshape(rows, heads, width)


def softmax(scores: Floats) -> Floats:
    """Turn scores into shares along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def silu(x: Floats) -> Floats:
    """x * sigmoid(x); the exponent is never positive, so nothing overflows."""
    power = np.exp(-np.abs(x))
    sigmoid: Floats = np.where(x >= 0, np.float32(1), power) / (1 + power)
    return x * sigmoid


def product(x: Floats, matrix: Weights) -> Floats:
    """x W^T, with the activations rounded as the matrix's type wants."""
    if matrix.activation_levels is not None:
        x = round_activations(x, matrix.activation_levels, matrix.outlier)
    return x @ matrix.values.T


def activation_levels(type_name: str) -> int | None:
    """How finely the native kernels round activations against weights of this type.

    Eight bits for the coarse types; 16 for Q8_0, whose weights are about as fine as 8-bit
    activations would be; not at all for floats.
    """
    if LAYOUTS[type_name].block_values == 1:
        return None
    return 32767 if type_name == "Q8_0" else 127


def round_activations(x: Floats, levels: int, outlier: float = OUTLIER) -> Floats:
    """Round to integers times a scale that each 32 values share; ties go to even.

    What 8 bits leave of a block that stands out from its row is rounded to 8 bits more.
    """
    blocks = x.reshape(len(x), -1, ACTIVATION_BLOCK)
    rounded, scale = _round_blocks(blocks, levels)
    if levels == 127:
        bound = np.float32(outlier) * np.sqrt(np.square(scale).mean(axis=1, keepdims=True))
        rest = _round_to(blocks - rounded, scale / np.float32(256), 127)
        rounded = rounded + np.where(scale >= bound, rest, np.float32(0))
    return rounded.reshape(x.shape)


def _round_blocks(blocks: Floats, levels: int) -> tuple[Floats, Floats]:
    scale = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(levels)
    return _round_to(blocks, scale, levels), scale


def _round_to(blocks: Floats, scale: Floats, levels: int) -> Floats:
    ratio = np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale != 0)
    return np.clip(np.rint(ratio), -levels, levels) * scale
