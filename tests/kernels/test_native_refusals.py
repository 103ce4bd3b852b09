"""What does not fit is refused before a kernel touches memory that is not its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from puna.errors import SettingError
from puna.kernels import Activation, Kernels, Matrix
from puna.kernels.native import Tape
from tests.kernels.alone import rows_batch, shape

HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 4, 2, 16, 256
VOCABULARY, WIDTH = 10, (HEADS + 2 * KV_HEADS) * HEAD_DIM


@pytest.fixture
def tape() -> Tape:
    return Tape(shape(), threads=2)


def table(tape: Tape) -> Matrix:
    return tape.matrix("F32", (VOCABULARY, WIDTH), np.zeros(4 * VOCABULARY * WIDTH, np.uint8))


def network(tape: Tape, positions: int = CONTEXT) -> Callable[[Kernels], Activation]:
    """Look tokens up as queries, keys and values, and attend."""
    embedding = table(tape)
    angles = np.zeros((positions, HEAD_DIM // 2), np.float32)
    rope = tape.rope(angles, angles)
    return lambda k: k.output_rows(k.attention(k.embed(embedding), rope, 0))


@pytest.mark.parametrize(
    ("type_name", "rows", "columns", "n_bytes"),
    [
        ("IQ2_XXS", 1, 256, 66),
        ("Q4_0", 1, 33, 18),
        ("Q4_0", 2, 32, 35),
        ("Q4_0", 3, 32, 36),
        ("Q4_0", 0, 32, 0),
        ("Q4_0", 1, 0, 0),
        ("F32", -1, 4, 16),
        ("F32", 1, 2**62, 16),
        ("F32", 2**62, 4, 16),
    ],
)
def test_a_matrix_that_its_bytes_are_not(
    tape: Tape, type_name: str, rows: int, columns: int, n_bytes: int
) -> None:
    with pytest.raises(ValueError, match=r"block type|columns|rows"):
        tape.matrix(type_name, (rows, columns), np.zeros(n_bytes, np.uint8))


@pytest.mark.parametrize("order", [[0, 2], [-1, 0], [0]])
def test_an_order_of_rows_that_are_not_there(tape: Tape, order: list[int]) -> None:
    with pytest.raises(ValueError, match="row order"):
        tape.matrix("F32", (2, 4), np.zeros(32, np.uint8), np.array(order, np.int32))


def ints(*values: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tokens": ints(0, 1, VOCABULARY)}, "vocabulary"),
        ({"tokens": ints(0, -1, 1)}, "vocabulary"),
        ({"positions": ints(0, 2, 2)}, "positions"),
        ({"positions": ints(-1, 0, 1)}, "positions"),
        ({"positions": ints(0, 1)}, "lengths do not agree"),
        ({"sequence_starts": ints(1, 3)}, "row 0"),
        ({"sequence_starts": ints(0, 2)}, "last row"),
        ({"sequence_starts": ints(0, 4)}, "last row"),
        ({"kv_lengths": ints(2)}, "context"),
        ({"kv_lengths": ints(CONTEXT + 1)}, "context"),
        ({"kv_lengths": ints(40), "positions": ints(37, 38, 39)}, "too short"),
        ({"block_tables": ints(-1)[None]}, "no block"),
        ({"block_tables": ints(8)[None]}, "no block"),
        ({"output_rows": ints(3)}, "no row"),
        ({"output_rows": ints(-1)}, "no row"),
        ({"output_rows": ints(0, 0, 1, 2)}, "more outputs"),
    ],
)
def test_a_batch_that_names_what_is_not_there(
    tape: Tape, changes: dict[str, Any], reason: str
) -> None:
    attend, batch = network(tape), rows_batch(3)
    with pytest.raises(ValueError, match=reason):
        tape.run(attend, replace(batch, **changes))
    assert tape.run(attend, batch).shape == (3, HEADS * HEAD_DIM)  # and the tape goes on


def test_more_rows_than_there_is_room_for(tape: Tape) -> None:
    with pytest.raises(ValueError, match="too many rows"):
        tape.run(network(tape), rows_batch(65, tokens=[0] * 65))


def test_rotations_of_another_context(tape: Tape) -> None:
    with pytest.raises(ValueError, match="rotations"):
        tape.run(network(tape, positions=CONTEXT - 1), rows_batch(1))


def test_widths_that_do_not_meet(tape: Tape) -> None:
    batch = rows_batch(1)
    embedding, narrow = table(tape), tape.matrix("F32", (8, 4), np.zeros(128, np.uint8))
    norm = tape.vector(np.zeros(4, np.float32))
    for wrong in (
        lambda k: k.linear(k.embed(embedding), narrow),
        lambda k: k.rms_norm(k.embed(embedding), norm, 1e-5),
        lambda k: k.linear_add(k.embed(narrow), narrow, k.embed(embedding)),
        lambda k: k.swiglu(k.embed(embedding), embedding, narrow),
        lambda k: k.attention(k.embed(narrow), tape.rope(angles(), angles()), 0),
    ):
        with pytest.raises(ValueError, match=r"columns wanted|heads"):
            tape.run(wrong, batch)


def angles() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.zeros((CONTEXT, HEAD_DIM // 2), np.float32)


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": 5},
        {"heads": 130},
        {"head_dim": 12},
        {"head_dim": 0},
        {"layers": 0},
        {"kv_blocks": -1},
        {"kv_blocks": 2**55 + 1},
        {"layers": 2**40},
        {"max_batch_tokens": 0},
        {"context_tokens": 0},
    ],
)
def test_a_shape_that_no_kernel_runs(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="tape"):
        Tape(shape(**changes), threads=1)


def test_a_residual_with_other_rows(tape: Tape) -> None:
    square = tape.matrix("F32", (4, 4), np.zeros(64, np.uint8))
    x = np.zeros((3, 4), np.float32)

    def mixed(k: Kernels) -> Activation:
        everything = k.input(x)
        return k.linear_add(k.output_rows(everything), square, everything)

    with pytest.raises(ValueError, match="other rows"):
        tape.run(mixed, rows_batch(3))


def test_threads_and_instruction_sets_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="threads"):
        Tape(shape(), threads=-1)
    with pytest.raises(SettingError, match="instruction set abacus"):
        Tape(shape(), threads=1, isa="abacus")


def test_cache_blocks_that_are_not_there(tape: Tape) -> None:
    for pair in ((0, 8), (8, 0), (-1, 0)):
        with pytest.raises(ValueError, match="no such block"):
            tape.copy_blocks([pair])
