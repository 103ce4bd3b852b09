"""What the numbers of each block type mean: bytes to float32 and back, in NumPy.

In: the bytes of whole blocks, as they lie in a GGUF file, or float32 values.
Out: the other.  Knows no file and no matrix; exact, not fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from puna.kernels import blocks32, superblocks
from puna.kernels.fields import Blocks, Floats


@dataclass(frozen=True)
class Layout:
    """A block type: the fields of its blocks, and both directions."""

    fields: np.dtype[Any]
    block_values: int
    dequantise: Callable[[Blocks], Floats]
    quantise: Callable[[Floats], Blocks]

    @property
    def block_bytes(self) -> int:
        """Bytes of one block."""
        return self.fields.itemsize

    def nbytes(self, n_values: int) -> int:
        """Bytes of n_values values, a whole number of blocks."""
        assert n_values % self.block_values == 0
        return n_values // self.block_values * self.block_bytes


def dequantise(data: NDArray[np.uint8], type_name: str, n_values: int) -> Floats:
    """Turn blocks into (n_values,) float32, bit for bit as ggml does."""
    layout = LAYOUTS[type_name]
    assert data.size == layout.nbytes(n_values)
    blocks = np.ascontiguousarray(data).reshape(-1).view(layout.fields)
    return layout.dequantise(blocks).reshape(n_values)


def quantise(values: NDArray[np.float32], type_name: str) -> NDArray[np.uint8]:
    """Turn finite values, a whole number of blocks, into the nearest blocks: 1-D bytes.

    Scales span the values of a block and are not searched for, so the error is a little
    larger than that of llama.cpp's quantiser.
    """
    layout = LAYOUTS[type_name]
    rows = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, layout.block_values)
    return layout.quantise(rows).view(np.uint8).reshape(-1)


def _halves_to_floats(blocks: NDArray[np.float16]) -> Floats:
    return blocks.astype(np.float32).reshape(-1, 1)


def _floats_to_halves(values: Floats) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # beyond 65,504 lies infinity
        return values.astype("<f2")


def _bfloats_to_floats(blocks: NDArray[np.uint16]) -> Floats:
    return (blocks.astype(np.uint32) << 16).view(np.float32).reshape(-1, 1)


def _floats_to_bfloats(values: Floats) -> NDArray[np.uint16]:
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")  # to nearest even


LAYOUTS: Mapping[str, Layout] = {
    "F32": Layout(np.dtype("<f4"), 1, lambda b: b.astype(np.float32), lambda v: v.astype("<f4")),
    "F16": Layout(np.dtype("<f2"), 1, _halves_to_floats, _floats_to_halves),
    "BF16": Layout(np.dtype("<u2"), 1, _bfloats_to_floats, _floats_to_bfloats),
    "Q8_0": Layout(blocks32.Q8_0, 32, blocks32.dequantise_q8_0, blocks32.quantise_q8_0),
    "Q4_0": Layout(blocks32.Q4_0, 32, blocks32.dequantise_q4_0, blocks32.quantise_q4_0),
    "Q4_1": Layout(blocks32.Q4_1, 32, blocks32.dequantise_q4_1, blocks32.quantise_q4_1),
    "Q5_0": Layout(blocks32.Q5_0, 32, blocks32.dequantise_q5_0, blocks32.quantise_q5_0),
    "Q5_1": Layout(blocks32.Q5_1, 32, blocks32.dequantise_q5_1, blocks32.quantise_q5_1),
    "Q2_K": Layout(superblocks.Q2_K, 256, superblocks.dequantise_q2_k, superblocks.quantise_q2_k),
    "Q3_K": Layout(superblocks.Q3_K, 256, superblocks.dequantise_q3_k, superblocks.quantise_q3_k),
    "Q4_K": Layout(superblocks.Q4_K, 256, superblocks.dequantise_q4_k, superblocks.quantise_q4_k),
    "Q5_K": Layout(superblocks.Q5_K, 256, superblocks.dequantise_q5_k, superblocks.quantise_q5_k),
    "Q6_K": Layout(superblocks.Q6_K, 256, superblocks.dequantise_q6_k, superblocks.quantise_q6_k),
}
