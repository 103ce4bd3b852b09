"""Native attention: equal to the reference, and to itself however the tokens arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from puna.kernels import BLOCK_TOKENS, Batch, Kernels, Rope, Shape
from puna.kernels.native import Tape
from puna.kernels.reference import Eager
from tests.kernels.alone import Floats, shape
from tests.kernels.test_native import ISAS

SHAPES = {
    "grouped": (4, 2, 16),
    "one head": (1, 1, 8),
    "five over one": (5, 1, 64),
    "each its own": (3, 3, 80),
    "nine over three": (9, 3, 64),
    "nine over three, in bytes": (9, 3, 64),
    "each its own, in bytes": (3, 3, 80),
}
TOKENS = 700  # of one sequence: several spans of keys, and a ragged last block
BLOCKS = list(np.random.default_rng(0).permutation(64))  # a cache that has been used for a while


@dataclass(frozen=True)
class Part:
    """Some tokens of one sequence, from position `start`, and the cache blocks of all of it."""

    qkv: Floats
    start: int
    blocks: list[int]

    @property
    def end(self) -> int:
        """Where the sequence stands after these tokens."""
        return self.start + len(self.qkv)

    def cut(self, start: int, end: int) -> Part:
        """Take the tokens of one step."""
        return Part(self.qkv[start:end], self.start + start, self.blocks)


class Attention:
    """A backend that does nothing else."""

    def __init__(self, kernels: Kernels, sizes: Shape) -> None:
        self.kernels = kernels
        self.rope = rotations(kernels, sizes)

    def __call__(self, *parts: Part, layer: int = 1) -> Floats:
        """Attend from rows of several sequences at once."""
        qkv = np.concatenate([part.qkv for part in parts])
        network = lambda k: k.attention(k.input(qkv), self.rope, layer)  # noqa: E731
        return self.kernels.run(network, side_by_side(parts))


def rotations(kernels: Kernels, sizes: Shape) -> Rope:
    """Make frequencies from 1 down to a thousandth."""
    frequencies = np.logspace(0, -3, sizes.head_dim // 2, dtype=np.float32)
    angles = np.arange(sizes.context_tokens, dtype=np.float32)[:, None] * frequencies
    return kernels.rope(np.cos(angles), np.sin(angles))


def side_by_side(parts: tuple[Part, ...]) -> Batch:
    rows = sum(len(part.qkv) for part in parts)
    width = max(len(part.blocks) for part in parts)
    positions = [np.arange(part.start, part.end, dtype=np.int32) for part in parts]
    tables = [part.blocks + [-1] * (width - len(part.blocks)) for part in parts]
    return Batch(
        tokens=np.zeros(rows, np.int32),
        positions=np.concatenate(positions),
        sequence_starts=np.cumsum([0, *(len(part.qkv) for part in parts)]).astype(np.int32),
        kv_lengths=np.array([part.end for part in parts], np.int32),
        block_tables=np.array(tables, np.int32),
        output_rows=np.arange(rows, dtype=np.int32),
    )


def sizes_of(name: str) -> Shape:
    heads, kv_heads, head_dim = SHAPES[name]
    sizes = shape(
        layers=2,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        kv_blocks=64,
        max_batch_tokens=1024,
        context_tokens=TOKENS,
    )
    return replace(sizes, kv_type="int8") if name.endswith("in bytes") else sizes


def sequence(sizes: Shape, tokens: int, seed: int, blocks: list[int]) -> Part:
    width = (sizes.heads + 2 * sizes.kv_heads) * sizes.head_dim
    qkv = np.random.default_rng(seed).normal(0, 1, (tokens, width)).astype(np.float32)
    return Part(qkv, 0, blocks[: -(-tokens // BLOCK_TOKENS)])


def reference(sizes: Shape) -> Attention:
    """Round keys and values as the native cache does."""
    kv_dtype = np.float16 if sizes.kv_type == "f16" else np.float32
    return Attention(Eager(sizes, activations="rounded", kv_dtype=kv_dtype), sizes)


@pytest.fixture(
    params=[(isa, threads) for isa in ISAS for threads in (1, 2)],
    ids=lambda built_for: f"{built_for[0]}-{built_for[1]}",
)
def machine(request: pytest.FixtureRequest) -> tuple[str, int]:
    """Name an instruction set of this processor and a number of threads."""
    isa, threads = request.param
    return isa, threads


def native(sizes: Shape, machine: tuple[str, int]) -> Attention:
    isa, threads = machine
    return Attention(Tape(sizes, threads, isa), sizes)


@pytest.mark.parametrize("name", SHAPES)
def test_a_prompt_and_its_continuation_equal_the_reference(
    name: str, machine: tuple[str, int]
) -> None:
    sizes = sizes_of(name)
    whole = sequence(sizes, TOKENS, 1, BLOCKS)
    for attention in (ours := native(sizes, machine)), (theirs := reference(sizes)):
        attention(whole.cut(0, 333))
    for start, end in ((333, 334), (334, 400), (400, 417), (417, TOKENS)):
        part = whole.cut(start, end)
        # A byte that lies between two levels may be rounded up here and down there.
        tolerance = 1e-5 if sizes.kv_type == "f16" else 2e-3
        np.testing.assert_allclose(ours(part), theirs(part), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rows", range(1, 18))
def test_any_number_of_rows_equals_the_reference(rows: int, machine: tuple[str, int]) -> None:
    sizes = sizes_of("nine over three")
    whole = sequence(sizes, 100 + rows, rows, BLOCKS)
    ours, theirs = native(sizes, machine), reference(sizes)
    for part in (whole.cut(0, 100), whole.cut(100, 100 + rows)):
        np.testing.assert_allclose(ours(part), theirs(part), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["grouped", "nine over three", "nine over three, in bytes"])
@pytest.mark.parametrize("chunk", [1, 7, 32, 33, 256])
def test_chunks_change_no_bit(name: str, chunk: int, machine: tuple[str, int]) -> None:
    sizes = sizes_of(name)
    whole = sequence(sizes, 300, 2, BLOCKS)
    at_once = native(sizes, machine)(whole)
    attention = native(sizes, machine)
    parts = [whole.cut(start, min(start + chunk, 300)) for start in range(0, 300, chunk)]
    assert np.concatenate([attention(part) for part in parts]).tobytes() == at_once.tobytes()


def test_keys_and_values_beyond_a_half_spoil_no_earlier_row(machine: tuple[str, int]) -> None:
    sizes = sizes_of("grouped")
    whole = sequence(sizes, 40, 2, BLOCKS)
    expected = native(sizes, machine)(whole)
    whole.qkv[-1] = 1e6
    answer = native(sizes, machine)(whole)
    assert np.isfinite(answer).all()
    assert answer[:-1].tobytes() == expected[:-1].tobytes()


def test_neighbours_change_no_bit(machine: tuple[str, int]) -> None:
    sizes = sizes_of("grouped")
    lengths = (1, 40, 300, 32, 129)
    starts = np.cumsum([0, *(-(-length // BLOCK_TOKENS) for length in lengths)])
    sequences = [
        sequence(sizes, length, seed, BLOCKS[start:])
        for seed, (length, start) in enumerate(zip(lengths, starts, strict=False))
    ]
    together = native(sizes, machine)(*sequences)
    alone = native(sizes, machine)
    assert together.tobytes() == np.concatenate([alone(one) for one in sequences]).tobytes()


def test_two_threads_and_one_give_the_same_bits() -> None:
    sizes = sizes_of("nine over three")
    whole = sequence(sizes, TOKENS, 3, BLOCKS)
    for isa in ISAS:
        results = [native(sizes, (isa, threads))(whole) for threads in (1, 2)]
        assert results[0].tobytes() == results[1].tobytes()


def test_sequences_share_the_blocks_of_their_prefix(machine: tuple[str, int]) -> None:
    sizes = sizes_of("grouped")
    attention = native(sizes, machine)
    first = sequence(sizes, 96, 4, BLOCKS)
    attention(first)
    tail = sequence(sizes, 20, 5, [])
    forks = [Part(tail.qkv, 64, [*BLOCKS[:2], block]) for block in BLOCKS[10:12]]
    answers = np.split(attention(*forks), 2)
    assert answers[0].tobytes() == answers[1].tobytes()


@pytest.mark.parametrize("name", ["grouped", "each its own, in bytes"])
def test_a_copied_block_answers_like_the_first(name: str, machine: tuple[str, int]) -> None:
    sizes = sizes_of(name)
    attention = native(sizes, machine)
    attention(sequence(sizes, 40, 6, BLOCKS))
    attention.kernels.copy_blocks([(BLOCKS[1], BLOCKS[9])])
    tail = sequence(sizes, 3, 7, [])
    here, there = (Part(tail.qkv, 40, [BLOCKS[0], block]) for block in (BLOCKS[1], BLOCKS[9]))
    assert attention(there).tobytes() == attention(here).tobytes()


def test_layers_have_caches_of_their_own(machine: tuple[str, int]) -> None:
    sizes = sizes_of("grouped")
    attention, whole = native(sizes, machine), sequence(sizes, 50, 8, BLOCKS)
    before = attention(whole.cut(0, 40)), attention(whole.cut(40, 50))
    attention(sequence(sizes, 50, 9, BLOCKS), layer=0)
    assert attention(whole.cut(40, 50)).tobytes() == before[1].tobytes()


def test_scores_far_apart_stay_finite(machine: tuple[str, int]) -> None:
    sizes = sizes_of("grouped")
    whole = sequence(sizes, 200, 10, BLOCKS)
    loud = Part(whole.qkv * np.float32(10), 0, whole.blocks)
    ours, theirs = native(sizes, machine)(loud), reference(sizes)(loud)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
