"""Every native kernel computes what the reference does, and the same bits in any batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from puna.kernels import Kernels, Matrix
from puna.kernels.blocks import LAYOUTS, dequantise
from puna.kernels.native import Tape, isa
from puna.kernels.reference import Eager
from tests.kernels.alone import (
    BLOCK_TYPES,
    EXTREMES,
    Bytes,
    Floats,
    activations,
    compute,
    extreme_activations,
    extreme_weights,
    gentle_weights,
    random_weights,
    rows_batch,
    shape,
)

MOST_ROWS = 17  # one row, every tile of rows, and every leftover of the native kernels


def runs_here(name: str) -> bool:
    try:
        return bool(isa(name) == name)
    except ValueError:
        return False


ISAS = [
    name for name in ("scalar", "avx2", "avx512bw", "avx512", "neon", "neondot") if runs_here(name)
]


@pytest.fixture(
    params=[(name, threads) for name in ISAS for threads in (1, 2)],
    ids=lambda built_for: f"{built_for[0]}-{built_for[1]}",
)
def tape(request: pytest.FixtureRequest) -> Iterator[Tape]:
    """Build a tape for each instruction set of this processor, with one thread and with two."""
    name, threads = request.param
    tape = Tape(shape(), threads, name)
    yield tape
    tape.close()


@pytest.fixture(scope="module")
def rounded() -> Eager:
    """Build a reference that rounds where the native kernels round."""
    return Eager(shape(), activations="rounded", kv_dtype=np.float16)


def linear(kernels: Kernels, x: Floats, *matrices: Matrix) -> Floats:
    return compute(kernels, lambda k: k.linear(k.input(x), *matrices), len(x))


def columns_of(type_name: str) -> Sequence[int]:
    """Give row lengths of one block, of odd numbers of blocks, and of many."""
    block = LAYOUTS[type_name].block_values
    return {1: (1, 7, 64, 129), 32: (32, 64, 96, 416), 256: (256, 768, 1280, 512)}[block]


def assert_close(native: Floats, expected: Floats, terms: Floats) -> None:
    """Allow three millionths of what the terms of each sum add up to without their signs."""
    assert native.shape == expected.shape
    assert (np.abs(native - expected) <= 3e-6 * terms + 1e-30).all()


def terms_of(x: Floats, data: Bytes, type_name: str, rows: int) -> Floats:
    """Sum |x| times the row's largest |w|, as scales and offsets are multiplied apart."""
    weights = np.abs(dequantise(data, type_name, rows * x.shape[1]).reshape(rows, -1))
    total: Floats = np.abs(x).sum(axis=1, keepdims=True) @ weights.max(axis=1, keepdims=True).T
    return total


@pytest.mark.parametrize("type_name", LAYOUTS)
@pytest.mark.parametrize("weights", [gentle_weights, random_weights])
def test_linear_equals_the_reference_for_any_number_of_rows(
    type_name: str, weights: Callable[..., Bytes], tape: Tape, rounded: Eager
) -> None:
    for outputs, columns in zip((1, 8, 21, 40), columns_of(type_name), strict=True):
        data = weights(type_name, outputs, columns, seed=columns)
        x = activations(MOST_ROWS, columns, seed=outputs)
        ours, theirs = (k.matrix(type_name, (outputs, columns), data) for k in (tape, rounded))
        whole = linear(tape, x, ours)
        assert_close(whole, linear(rounded, x, theirs), terms_of(x, data, type_name, outputs))
        for rows in range(1, MOST_ROWS):
            assert linear(tape, x[:rows], ours).tobytes() == whole[:rows].tobytes()


@pytest.mark.parametrize("type_name", BLOCK_TYPES)
@pytest.mark.parametrize("fill", EXTREMES.values(), ids=EXTREMES)
def test_integers_do_not_overflow(type_name: str, fill: int, tape: Tape, rounded: Eager) -> None:
    columns = columns_of(type_name)[1]
    data = extreme_weights(type_name, 16, columns, fill)
    x = extreme_activations(columns)
    ours, theirs = (k.matrix(type_name, (16, columns), data) for k in (tape, rounded))
    expected = linear(rounded, x, theirs)
    assert_close(linear(tape, x, ours), expected, terms_of(x, data, type_name, 16))


@pytest.mark.parametrize("type_name", LAYOUTS)
def test_rows_are_taken_in_the_order_asked_for(type_name: str, tape: Tape, rounded: Eager) -> None:
    columns = columns_of(type_name)[2]
    data = random_weights(type_name, 24, columns, seed=1)
    order = np.random.default_rng(2).permutation(24).astype(np.int32)
    x = activations(3, columns, seed=3)
    plain = linear(tape, x, tape.matrix(type_name, (24, columns), data))
    ordered = linear(tape, x, tape.matrix(type_name, (24, columns), data, order))
    assert ordered.tobytes() == plain[:, order].tobytes()


@pytest.mark.parametrize("type_name", LAYOUTS)
def test_embedding_is_exact(type_name: str, tape: Tape) -> None:
    columns = columns_of(type_name)[2]
    data = random_weights(type_name, 21, columns, seed=4)
    table = tape.matrix(type_name, (21, columns), data)
    tokens = [20, 0, 7, 8, 7]
    values = dequantise(data, type_name, 21 * columns).reshape(21, columns)
    found = tape.run(lambda k: k.embed(table), rows_batch(5, tokens))
    assert np.array_equal(found, values[tokens])


def test_products_stand_side_by_side_whatever_their_types(tape: Tape) -> None:
    x = activations(5, 256, seed=5)
    matrices = [
        tape.matrix(name, (rows, 256), random_weights(name, rows, 256, seed=rows))
        for name, rows in (("Q4_K", 24), ("Q8_0", 9), ("F16", 3), ("Q6_K", 8))
    ]
    apart = [linear(tape, x, matrix) for matrix in matrices]
    together = linear(tape, x, *matrices)
    assert together.tobytes() == np.concatenate(apart, axis=1).tobytes()


@pytest.mark.parametrize("type_name", ["F32", "BF16", "Q8_0", "Q4_1", "Q6_K"])
@pytest.mark.parametrize("outputs", [8, 21, 64])
def test_linear_add_adds_the_residual(
    type_name: str, outputs: int, tape: Tape, rounded: Eager
) -> None:
    data = gentle_weights(type_name, outputs, 256, seed=6)
    x, residual = activations(MOST_ROWS, 256, seed=7), activations(MOST_ROWS, outputs, seed=8)

    def added(kernels: Kernels) -> Floats:
        m = kernels.matrix(type_name, (outputs, 256), data)
        return compute(kernels, lambda k: k.linear_add(k.input(x), m, k.input(residual)), MOST_ROWS)

    terms = terms_of(x, data, type_name, outputs) + np.abs(residual)
    assert_close(added(tape), added(rounded), terms)


@pytest.mark.parametrize("type_name", ["F32", "F16", "Q8_0", "Q4_1", "Q5_0", "Q6_K"])
@pytest.mark.parametrize("outputs", [8, 21, 96])
def test_swiglu_gates(type_name: str, outputs: int, tape: Tape, rounded: Eager) -> None:
    gate, up = (gentle_weights(type_name, outputs, 256, seed=seed) for seed in (9, 10))
    x = activations(MOST_ROWS, 256, seed=11)

    def gated(kernels: Kernels, rows: int) -> Floats:
        g, u = (kernels.matrix(type_name, (outputs, 256), data) for data in (gate, up))
        return compute(kernels, lambda k: k.swiglu(k.input(x[:rows]), g, u), rows)

    whole = gated(tape, MOST_ROWS)
    gates, ups = (
        linear(rounded, x, rounded.matrix(type_name, (outputs, 256), d)) for d in (gate, up)
    )
    terms = terms_of(x, gate, type_name, outputs) * (np.abs(ups) + 1)
    terms += terms_of(x, up, type_name, outputs) * (np.abs(gates) + 1)
    assert_close(whole, gated(rounded, MOST_ROWS), terms)
    for rows in (1, 2, 5, 8):
        assert gated(tape, rows).tobytes() == whole[:rows].tobytes()


@pytest.mark.parametrize("width", [1, 7, 8, 31, 64, 100])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_rms_norm(width: int, size: float, tape: Tape, rounded: Eager) -> None:
    x = activations(MOST_ROWS, width, seed=width) * np.float32(size)
    weight = activations(1, width, seed=12)[0]

    def normed(kernels: Kernels, rows: int) -> Floats:
        vector = kernels.vector(weight)
        return compute(kernels, lambda k: k.rms_norm(k.input(x[:rows]), vector, 1e-5), rows)

    whole = normed(tape, MOST_ROWS)
    np.testing.assert_allclose(whole, normed(rounded, MOST_ROWS), rtol=1e-5, atol=1e-30)
    for rows in (1, 2, 5, 8):
        assert normed(tape, rows).tobytes() == whole[:rows].tobytes()


def test_output_rows_are_picked_in_order(tape: Tape) -> None:
    x = activations(9, 24, seed=13)
    for wanted in ([0], [8], [1, 2, 7], list(range(9))):
        batch = rows_batch(9, wanted=wanted)
        y = tape.run(lambda k: k.output_rows(k.input(x)), batch)
        assert y.tobytes() == x[wanted].tobytes()


def test_a_batch_may_want_no_rows(tape: Tape) -> None:
    x = activations(9, 24, seed=13)
    y = tape.run(lambda k: k.output_rows(k.input(x)), rows_batch(9, wanted=[]))
    assert y.shape == (0, 24)
