"""The reference computes what the contract says, by a second way of saying it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.kernels import Batch
from puna.kernels.blocks import dequantise
from puna.kernels.reference import Eager, round_activations, silu, softmax
from tests.kernels.alone import (
    Floats,
    activations,
    compute,
    gentle_weights,
    rows_batch,
    shape,
)


def normal(*size: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)


def test_rms_norm_leaves_rows_of_root_mean_square_one() -> None:
    eager, weight = Eager(shape()), normal(24)
    x = normal(5, 24, seed=1)
    y = compute(eager, lambda k: k.rms_norm(k.input(x), k.vector(weight), 1e-6), 5)
    scaled = np.float64(y) / weight
    np.testing.assert_allclose(np.sqrt((scaled**2).mean(axis=1)), 1, rtol=1e-5)
    np.testing.assert_allclose(scaled[0, 0] / scaled[0, 1], x[0, 0] / x[0, 1], rtol=1e-4)


def test_linear_puts_products_side_by_side_and_reorders_rows() -> None:
    eager, x = Eager(shape()), normal(3, 64)
    first, second = normal(4, 64, seed=1), normal(2, 64, seed=2)
    order = np.array([1, 0], np.int32)
    a = eager.matrix("F32", (4, 64), first.reshape(-1).view(np.uint8))
    b = eager.matrix("F32", (2, 64), second.reshape(-1).view(np.uint8), order)
    y = compute(eager, lambda k: k.linear(k.input(x), a, b), 3)
    expected = np.concatenate([x @ first.T, x @ second[::-1].T], axis=1)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_linear_add_and_swiglu_are_made_of_products() -> None:
    eager, x, residual = Eager(shape()), normal(3, 64), normal(3, 8, seed=5)
    weights = [normal(8, 64, seed=seed) for seed in (1, 2)]
    gate, up = (eager.matrix("F32", (8, 64), w.reshape(-1).view(np.uint8)) for w in weights)
    added = compute(eager, lambda k: k.linear_add(k.input(x), gate, k.input(residual)), 3)
    np.testing.assert_allclose(added, residual + x @ weights[0].T, rtol=1e-5, atol=1e-5)
    gated = compute(eager, lambda k: k.swiglu(k.input(x), gate, up), 3)
    g = np.float64(x @ weights[0].T)
    np.testing.assert_allclose(gated, g / (1 + np.exp(-g)) * (x @ weights[1].T), rtol=1e-4)


def test_embed_and_output_rows_choose_rows() -> None:
    eager = Eager(shape())
    data = gentle_weights("Q4_1", 10, 64, seed=3)
    table = eager.matrix("Q4_1", (10, 64), data)
    whole = rows_batch(4, tokens=[7, 0, 7, 9])
    batch = Batch(**{**vars(whole), "output_rows": np.array([1, 3], np.int32)})
    y = eager.run(lambda k: k.output_rows(k.embed(table)), batch)
    values = dequantise(data, "Q4_1", 640).reshape(10, 64)
    assert np.array_equal(y, values[[0, 9]])


def test_silu_and_softmax_stay_finite_at_the_ends() -> None:
    x = np.array([-1e4, -100.0, 0.0, 100.0, 1e4], np.float32)
    assert np.array_equal(silu(x)[[0, 2, 3, 4]], np.array([0, 0, 100, 1e4], np.float32))
    shares = softmax(np.array([[1e4, 1e4, -np.inf]], np.float32))
    assert np.array_equal(shares, np.array([[0.5, 0.5, 0]], np.float32))


@pytest.mark.parametrize("levels", [127, 32767])
def test_rounded_activations_are_within_half_a_level(levels: int) -> None:
    x = activations(6, 96, seed=4)
    rounded = round_activations(x, levels)
    peaks = np.abs(x).reshape(6, 3, 32).max(axis=2)
    errors = np.abs(rounded - x).reshape(6, 3, 32).max(axis=2)
    assert (errors <= 0.501 * peaks / levels).all()
    assert np.array_equal(
        round_activations(np.zeros((1, 32), np.float32), levels), np.zeros((1, 32))
    )


def attention_by_loops(qkv: Floats, angles: Floats, heads: int, kv_heads: int) -> Floats:
    """Attend in one sequence, one number at a time and in float64."""
    rows, width = len(qkv), 2 * angles.shape[1]
    q, k, v = np.split(np.float64(qkv).reshape(rows, -1, width), [heads, heads + kv_heads], axis=1)
    out = np.zeros((rows, heads, width))
    for row in range(rows):
        for head in range(heads):
            of = head // (heads // kv_heads)
            scores = [
                rotated(q[row, head], angles[row]) @ rotated(k[past, of], angles[past])
                for past in range(row + 1)
            ]
            weights = np.exp(np.array(scores) / math.sqrt(width))
            out[row, head] = weights @ v[: row + 1, of] / weights.sum()
    return out.reshape(rows, -1).astype(np.float32)


def rotated(x: NDArray[np.float64], angles: Floats) -> NDArray[np.float64]:
    half = len(angles)
    pairs = (x[:half] + 1j * x[half:]) * np.exp(1j * np.float64(angles))
    return np.concatenate([pairs.real, pairs.imag])


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (3, 3), (5, 1)])
def test_attention_is_causal_grouped_and_rotary(heads: int, kv_heads: int) -> None:
    eager = Eager(shape(heads=heads, kv_heads=kv_heads))
    qkv = normal(40, (heads + 2 * kv_heads) * 16, seed=heads)
    angles = (np.arange(256)[:, None] * np.array([1.0, 0.5, 0.1, 0.01] * 2)).astype(np.float32)
    rope = eager.rope(np.cos(angles), np.sin(angles))
    y = compute(eager, lambda k: k.attention(k.input(qkv), rope, 0), 40)
    expected = attention_by_loops(qkv, angles, heads, kv_heads)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_copied_blocks_hold_what_the_others_held() -> None:
    eager = Eager(shape())
    eager.keys[:] = np.arange(8)[None, :, None, None, None]
    eager.values[:] = -eager.keys
    eager.copy_blocks([(1, 2), (2, 3)])
    assert eager.keys[0, :4, 0, 0, 0].tolist() == [0, 1, 1, 1]
    assert eager.values[0, :4, 0, 0, 0].tolist() == [0, -1, -1, -1]
