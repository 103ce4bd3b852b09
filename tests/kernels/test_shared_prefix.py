"""Sequences that decode over a shared prefix read it once, and nobody's bits change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.kernels import BLOCK_TOKENS, Activation, Batch, Kernels, Rope, Shape
from puna.kernels.native import Tape

HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 6, 2, 32, 2048
WIDTH = (HEADS + 2 * KV_HEADS) * HEAD_DIM
SHAPE = Shape(
    layers=1,
    heads=HEADS,
    kv_heads=KV_HEADS,
    head_dim=HEAD_DIM,
    kv_blocks=256,
    max_batch_tokens=512,
    context_tokens=CONTEXT,
)
Tokens = NDArray[np.int32]


def rotations(tape: Tape) -> Rope:
    angles = np.arange(CONTEXT)[:, None] / 100.0 ** np.linspace(0, 1, HEAD_DIM // 2)
    return tape.rope(np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32))


def decode_batch(lengths: list[int], tables: list[list[int]]) -> Batch:
    """One new token for each sequence of the given length, that token included."""
    count = len(lengths)
    wide = max(map(len, tables))
    padded = [table + [-1] * (wide - len(table)) for table in tables]
    return Batch(
        tokens=np.zeros(count, np.int32),
        positions=np.array(lengths, np.int32) - 1,
        sequence_starts=np.arange(count + 1, dtype=np.int32),
        kv_lengths=np.array(lengths, np.int32),
        block_tables=np.array(padded, np.int32),
        output_rows=np.arange(count, dtype=np.int32),
    )


def prefill_batch(table: list[int], start: int, stop: int) -> Batch:
    count = stop - start
    return Batch(
        tokens=np.zeros(count, np.int32),
        positions=np.arange(start, stop, dtype=np.int32),
        sequence_starts=np.array([0, count], np.int32),
        kv_lengths=np.array([stop], np.int32),
        block_tables=np.array([table], np.int32),
        output_rows=np.array([count - 1], np.int32),
    )


class Attention:
    """One attention layer whose cache is filled with random keys and values."""

    def __init__(self, threads: int) -> None:
        self.tape = Tape(SHAPE, threads)
        self.rope = rotations(self.tape)

    def __call__(self, qkv: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
        def network(k: Kernels) -> Activation:
            return k.attention(k.input(qkv), self.rope, 0)

        return self.tape.run(network, batch)

    def fill(self, table: list[int], length: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for start in range(0, length, 512):
            stop = min(length, start + 512)
            rows = rng.standard_normal((stop - start, WIDTH)).astype(np.float32)
            self(rows, prefill_batch(table, start, stop))


def private_tail(shared: list[int], length: int, first: int) -> list[int]:
    blocks = -(-length // BLOCK_TOKENS)
    return [*shared, *range(first, first + blocks - len(shared))][:blocks]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("prefix", [256, 300, 512, 1024])
@pytest.mark.parametrize("count", [2, 5, 23])
def test_together_equals_alone(threads: int, prefix: int, count: int) -> None:
    shared = list(range(prefix // BLOCK_TOKENS))
    lengths = [prefix + 1 + 17 * i % 90 for i in range(count)]
    tables = [private_tail(shared, n, 40 + 5 * i) for i, n in enumerate(lengths)]
    attention = Attention(threads)
    attention.fill(tables[0], prefix, seed=1)
    rows = np.random.default_rng(2).standard_normal((count, WIDTH)).astype(np.float32)
    alone = [
        attention(rows[i : i + 1], decode_batch(lengths[i : i + 1], tables[i : i + 1]))
        for i in range(count)
    ]
    together = attention(rows, decode_batch(lengths, tables))
    assert together.tobytes() == np.concatenate(alone).tobytes()


def test_strangers_with_the_same_first_block_share_only_what_is_the_same() -> None:
    attention = Attention(2)
    first = list(range(20))
    second = [*range(8), *range(30, 42)]
    third = [*range(4), *range(50, 66)]
    for seed, table in enumerate([first, second, third]):
        attention.fill(table, 600, seed)
    tables, lengths = [first, second, third], [601, 590, 601]
    rows = np.random.default_rng(3).standard_normal((3, WIDTH)).astype(np.float32)
    alone = [attention(rows[i : i + 1], decode_batch([lengths[i]], [tables[i]])) for i in range(3)]
    together = attention(rows, decode_batch(lengths, tables))
    assert together.tobytes() == np.concatenate(alone).tobytes()
