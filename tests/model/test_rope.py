"""Rotary frequencies follow Meta's formula, whichever format they are read from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from puna.model.rope import (
    FrequencyDivisors,
    LinearScaling,
    Llama3Scaling,
    frequencies,
    rotations,
)
from tests.tiny import TinyLlama

LLAMA3 = Llama3Scaling(8.0, 1.0, 4.0, 8192)


def metas_frequency(frequency: float) -> float:
    """Scale one frequency as the published `apply_scaling` of Llama 3.1 says."""
    wavelength = 2 * math.pi / frequency
    if wavelength < 8192 / 4:
        return frequency
    if wavelength > 8192 / 1:
        return frequency / 8
    smooth = (8192 / wavelength - 1) / (4 - 1)
    return (1 - smooth) * frequency / 8 + smooth * frequency


@pytest.mark.parametrize("head_dim", [64, 128])
def test_llama3_scaling_is_metas(head_dim: int) -> None:
    plain = [500000.0 ** (-2 * i / head_dim) for i in range(head_dim // 2)]
    expected = [metas_frequency(frequency) for frequency in plain]
    scaled = frequencies(500000.0, head_dim, LLAMA3)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    kinds = {round(e / p, 3) for e, p in zip(expected, plain, strict=True)}
    assert {1.0, 0.125} < kinds  # fast ones, slow ones, and some between


def test_ggufs_divisors_say_the_same_as_the_formula() -> None:
    tiny = TinyLlama(rope_scaling=True, head_dim=128, rope_theta=500000.0)
    divided = frequencies(500000.0, 128, FrequencyDivisors(tuple(tiny.rope_factors.tolist())))
    np.testing.assert_allclose(divided, frequencies(500000.0, 128, LLAMA3), rtol=1e-6)


def test_linear_scaling_slows_every_frequency() -> None:
    plain = frequencies(10000.0, 64, None)
    assert plain[0] == 1
    np.testing.assert_allclose(frequencies(10000.0, 64, LinearScaling(4.0)), plain / 4, rtol=1e-7)


def test_rotations_turn_by_the_frequency_at_each_position() -> None:
    cos, sin = rotations(frequencies(10000.0, 8, None), 100)
    assert cos.shape == sin.shape == (100, 4)
    np.testing.assert_allclose(cos**2 + sin**2, 1, rtol=1e-6)
    np.testing.assert_allclose(np.arctan2(sin[1], cos[1]), [1, 0.1, 0.01, 0.001], rtol=1e-5)
    np.testing.assert_allclose(cos[99, 2], math.cos(0.99), rtol=1e-5)
