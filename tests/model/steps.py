"""Batches for tests of the network: whole prompts, chunks, and several sequences at once.

In: token ids.  Out: `Batch`es that a Llama takes, each sequence with cache blocks
of its own.  Knows no scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from puna.kernels import BLOCK_TOKENS, Batch
from puna.model.llama import Llama

Tokens = NDArray[np.int32]


@dataclass(frozen=True)
class Chunk:
    """Some tokens of one sequence, behind `past` tokens that are in the cache already."""

    tokens: Tokens
    past: int
    blocks: Tokens


def int32(values: Sequence[int] | range | Tokens) -> Tokens:
    """Make an index array."""
    return np.asarray(values, dtype=np.int32)


def batch_of(chunks: Sequence[Chunk], output_rows: Tokens | None = None) -> Batch:
    """Put chunks of different sequences side by side; all rows' logits unless said otherwise."""
    lengths = [len(chunk.tokens) for chunk in chunks]
    starts = int32(np.cumsum([0, *lengths]))
    width = max(len(chunk.blocks) for chunk in chunks)
    tables = np.full((len(chunks), width), -1, np.int32)
    for table, chunk in zip(tables, chunks, strict=True):
        table[: len(chunk.blocks)] = chunk.blocks
    spans = [range(c.past, c.past + len(c.tokens)) for c in chunks]
    return Batch(
        tokens=int32(np.concatenate([chunk.tokens for chunk in chunks])),
        positions=int32([position for span in spans for position in span]),
        sequence_starts=starts,
        kv_lengths=int32([span.stop for span in spans]),
        block_tables=tables,
        output_rows=int32(range(int(starts[-1]))) if output_rows is None else output_rows,
    )


def blocks_for(tokens: int, first: int = 0) -> Tokens:
    """Choose neighbouring cache blocks for a sequence of this length."""
    return int32(range(first, first - (-tokens // BLOCK_TOKENS)))


def read(
    llama: Llama, tokens: Tokens, chunk_tokens: int = 512, blocks: Tokens | None = None
) -> NDArray[np.float32]:
    """Feed one sequence chunk by chunk; all its logits, (tokens, vocabulary)."""
    blocks = blocks_for(len(tokens)) if blocks is None else blocks
    edges = [*range(0, len(tokens), chunk_tokens), len(tokens)]
    chunks = [Chunk(tokens[start:end], start, blocks) for start, end in pairwise(edges)]
    return np.concatenate([llama.forward(batch_of([chunk])) for chunk in chunks])
