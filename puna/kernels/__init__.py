"""The contract of the kernels: arrays in, arrays out; knows no model.

In: weights as they lie in a file, one step's `Batch`, and a network written in
these operations.  Out: float32 rows.  `reference.Eager` gives every operation
its meaning in NumPy; `native.Tape` records the network once and replays it for
each step in one call, without the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from puna.kernels.batch import BLOCK_TOKENS, Batch
from puna.kernels.burst import BurstLimits, Runner
from puna.kernels.sampling import Draws

__all__ = [
    "BLOCK_TOKENS",
    "Activation",
    "Batch",
    "BurstLimits",
    "Draws",
    "Kernels",
    "KvType",
    "Matrix",
    "Network",
    "Rope",
    "Runner",
    "Shape",
    "Vector",
]

# What passes between operations.  Only the Kernels that made one can look inside, so to
# everybody else they are opaque: an array for Eager, the name of a buffer for Tape.
Activation: TypeAlias = Any
"""(rows, width) float32: one row for each token of the batch."""
Matrix: TypeAlias = Any
"""(outputs, inputs) weights, still in the block type of their file."""
Vector: TypeAlias = Any
"""(width,) float32 weights."""
Rope: TypeAlias = Any
"""Cosines and sines of every position, each (context_tokens, head_dim // 2)."""


KvType: TypeAlias = Literal["f16", "int8"]
"""How keys and values are kept: as halfs, or as bytes with a scale for each token and head."""


@dataclass(frozen=True)
class Shape:
    """What a `Kernels` is built for: it allocates its cache and its buffers once."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    kv_blocks: int
    max_batch_tokens: int
    context_tokens: int
    kv_type: KvType = "f16"


class Kernels(Protocol):
    """A backend: the taking over of weights, eight operations, and the running of a step.

    Operations may be called only inside `run`'s network.  A row of a result is
    bit-identical whatever other rows are in the batch, except in `Eager`, where
    it agrees to rounding.
    """

    def matrix(
        self,
        type_name: str,
        shape: tuple[int, int],
        data: NDArray[np.uint8],
        row_order: NDArray[np.int32] | None = None,
    ) -> Matrix:
        """Take over the weights of a linear layer or an embedding.

        `type_name` is one of `blocks.LAYOUTS`, `shape` is (rows, columns), and `data` holds
        the rows' blocks one after another, as in a GGUF file.  Row i of the matrix is row
        row_order[i] of the data, where given.  The data may be released afterwards.
        """
        ...

    def bring_in(self, matrix: Matrix) -> None:
        """Have a matrix at hand that every step reads whole, so that the first does not wait."""
        ...

    def vector(self, values: NDArray[np.float32]) -> Vector:
        """Take over (width,) weights of a norm."""
        ...

    def rope(self, cos: NDArray[np.float32], sin: NDArray[np.float32]) -> Rope:
        """Take over the rotations: (context_tokens, head_dim // 2) each."""
        ...

    def input(self, x: NDArray[np.float32]) -> Activation:
        """Put a constant (rows, width) into the network; what tests feed one operation with."""
        ...

    def embed(self, table: Matrix) -> Activation:
        """Look up the rows of `table` for the batch's tokens: (rows, hidden)."""
        ...

    def rms_norm(self, x: Activation, weight: Vector, eps: float) -> Activation:
        """Scale each row to a root mean square of 1, then by `weight` (arXiv:1910.07467)."""
        ...

    def linear(self, x: Activation, *matrices: Matrix) -> Activation:
        """Multiply x W^T for each matrix; the products stand side by side."""
        ...

    def linear_add(self, x: Activation, matrix: Matrix, residual: Activation) -> Activation:
        """Compute residual + x W^T."""
        ...

    def swiglu(self, x: Activation, gate: Matrix, up: Matrix) -> Activation:
        """Compute silu(x gate^T) * (x up^T) (arXiv:2002.05202)."""
        ...

    def attention(self, qkv: Activation, rope: Rope, layer: int) -> Activation:
        """Attend causally with grouped heads (arXiv:2305.13245): (rows, heads * head_dim).

        A row of `qkv` holds `heads` queries, then `kv_heads` keys, then `kv_heads` values of
        head_dim.  Queries and keys are rotated (arXiv:2104.09864) in the half layout of
        Hugging Face: value i pairs with value i + head_dim / 2.  Keys and values are appended
        to the paged cache of `layer`; query head h reads key head h // (heads / kv_heads).
        """
        ...

    def output_rows(self, x: Activation) -> Activation:
        """Keep the rows whose logits the batch wants: (outputs, width)."""
        ...

    def run(self, network: Network, batch: Batch) -> NDArray[np.float32]:
        """Compute one step of `network`.

        A backend may call `network` at the first step alone and replay what it recorded, so
        a network must do the same operations each time.
        """
        ...

    def sample(self, logits: NDArray[np.float32], draws: Draws) -> NDArray[np.int32]:
        """Pick a token out of each row of `logits` (rows, vocab), or NOT_FINITE: (rows,).

        What a draw means stands in `sampling`; equal bits in give equal tokens out,
        here and in `burst`.
        """
        ...

    def burst(self, network: Network, runners: Sequence[Runner], limits: BurstLimits) -> int:
        """Run several decode steps; each runner says what it would have said step by step.

        Returns the number of steps.
        """
        ...

    def copy_blocks(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Copy whole cache blocks of all layers, (from, to), in order."""
        ...

    def close(self) -> None:
        """Give back the cache and the weights."""
        ...


Network: TypeAlias = Callable[[Kernels], Activation]
"""A network: operations in, the activation that `run` returns out."""
