"""What loading a model packs, and what it leaves on disk.

In: a model's path and a cache of packed weights.  Out: logits, counts, files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from puna.formats.checkpoint import open_checkpoint
from puna.kernels import Matrix
from puna.kernels.native import Tape
from puna.model.config import LlamaConfig
from puna.model.llama import Llama
from puna.model.packed import MARK, PackedCache, PackedCheck
from puna.model.weights import load_weights, matrix_names
from tests.kernels.alone import shape
from tests.model.steps import int32, read

TYPES = {"output.weight": "Q6_K", "*ffn*": "Q8_0", "*": "Q4_K"}
TOKENS = int32(range(7, 47))


def logits(model: Path, cache: PackedCache | PackedCheck | None) -> NDArray[np.float32]:
    with open_checkpoint(model) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=4, threads=1, packed=cache)
    try:
        computed = read(llama, TOKENS)
        if isinstance(cache, PackedCache):
            cache.settle()
        return computed
    finally:
        llama.close()


def only_file(model: Path) -> Path:
    (file,) = model.parent.glob(f"{model.name}{MARK}*")
    return file


class CountingTape(Tape):
    """A tape that counts what it packs and brings in."""

    packs = brought_in = 0

    def matrix(
        self,
        type_name: str,
        shape: tuple[int, int],
        data: NDArray[np.uint8],
        row_order: NDArray[np.int32] | None = None,
    ) -> Matrix:
        self.packs += 1
        return super().matrix(type_name, shape, data, row_order)

    def bring_in(self, matrix: Matrix) -> None:
        self.brought_in += 1
        super().bring_in(matrix)

    def layout(self) -> str:
        name, self.packs = super().layout(), 0
        return name


def packs(model: Path, cache: PackedCache) -> int:
    """How many matrices a loading packs."""
    return load(model, cache).packs


def load(model: Path, cache: PackedCache) -> CountingTape:
    """Load a model; wait until its packed weights are kept."""
    tape = CountingTape(shape(), threads=1)
    with open_checkpoint(model) as checkpoint:
        config = LlamaConfig.from_checkpoint(checkpoint)
        names = matrix_names(checkpoint, config)
        with cache.matrices(checkpoint, names, tape) as take:
            load_weights(checkpoint, config, tape, context_tokens=64, take=take)
        cache.settle()
    return tape
