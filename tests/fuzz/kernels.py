"""Puts whatever a model file holds through the native kernels.

In: an open checkpoint or a tensor of one.  Out: shapes as promised, whatever the
numbers.  Does not know what a crash is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from puna.errors import PunaError
from puna.formats.checkpoint import Checkpoint, Tensor
from puna.kernels import Activation, Batch, Kernels, Shape
from puna.model.llama import Llama

ROWS = 5  # one tile of the kernels and a row more
SMALLEST = Shape(
    layers=1,
    heads=1,
    kv_heads=1,
    head_dim=32,
    kv_blocks=1,
    max_batch_tokens=ROWS,
    context_tokens=ROWS,
)


def multiply(tensor: Tensor, kernels: Kernels) -> None:
    """Pack a matrix, look some of its rows up and multiply them with all of it."""
    rows, columns = tensor.shape
    # Of exactly the right size on the heap, where a sanitizer sees who reads past the end.
    matrix = kernels.matrix(tensor.type.name, (rows, columns), np.array(tensor.data))

    def network(k: Kernels) -> Activation:
        return k.linear(k.embed(matrix), matrix)

    some_rows = np.linspace(0, rows - 1, ROWS).astype(np.int32)
    assert kernels.run(network, _batch(some_rows)).shape == (ROWS, rows)


def runs(checkpoint: Checkpoint) -> bool:
    """Whether this is a Llama; if so, one step of it is made over the vocabulary's first tokens."""
    try:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=1, max_batch_tokens=ROWS, threads=1)
    except PunaError:
        return False
    tokens = min(ROWS, llama.context_tokens, llama.config.vocab_size)
    logits = llama.forward(_batch(np.arange(tokens, dtype=np.int32)))
    assert logits.shape == (tokens, llama.config.vocab_size)
    llama.close()
    return True


def _batch(tokens: NDArray[np.int32]) -> Batch:
    """One sequence, whose every row is wanted."""
    rows = np.arange(len(tokens), dtype=np.int32)
    ends = np.array([0, len(tokens)], np.int32)
    return Batch(tokens, rows, ends, ends[1:], np.zeros((1, 1), np.int32), rows)
