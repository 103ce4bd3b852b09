"""Rotary position embedding: from a base and a scaling to cosines and sines.

In: what the config says.  Out: one rotation for each position and pair of a
head's values.  Does not rotate: kernels do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class LinearScaling:
    """Positions are divided by `factor` (arXiv:2306.15595)."""

    factor: float

    def scaled(self, frequencies: Floats) -> Floats:
        """Slow all frequencies alike."""
        return frequencies / np.float32(self.factor)


@dataclass(frozen=True)
class Llama3Scaling:
    """Slow waves are divided by `factor`, fast ones kept, those between blended.

    Source: `apply_scaling` in Meta's model.py of Llama 3.1, "llama3" in config.json.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int

    def scaled(self, frequencies: Floats) -> Floats:
        """Weigh each frequency by how often it turns within the original context."""
        turns = self.original_max_position_embeddings / (2 * math.pi / frequencies)
        span = self.high_freq_factor - self.low_freq_factor
        kept = np.clip((turns - self.low_freq_factor) / span, 0, 1)  # 1 for the fast ones
        scaled = (1 - kept) * frequencies / self.factor + kept * frequencies
        return scaled.astype(np.float32)


@dataclass(frozen=True)
class FrequencyDivisors:
    """GGUF's `rope_freqs.weight`: a scaling worked out beforehand, (head_dim // 2,) divisors."""

    divisors: tuple[float, ...]

    def scaled(self, frequencies: Floats) -> Floats:
        """Divide each frequency by its own divisor."""
        divisors: Floats = np.array(self.divisors, np.float32)
        return frequencies / divisors


RopeScaling: TypeAlias = LinearScaling | Llama3Scaling | FrequencyDivisors
"""How frequencies, (head_dim // 2,) radians per position, are stretched for a longer context."""


def frequencies(rope_theta: float, head_dim: int, scaling: RopeScaling | None) -> Floats:
    """Compute the (head_dim // 2,) angles that one position adds: theta^(-2 i / head_dim).

    Rounded where PyTorch rounds: a last bit here is a visible angle 100,000 positions later.
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    powers = np.power(rope_theta, exponents.astype(np.float64)).astype(np.float32)
    unscaled = np.float32(1) / powers
    return scaling.scaled(unscaled) if scaling else unscaled


def rotations(frequencies: Floats, positions: int) -> tuple[Floats, Floats]:
    """Compute the cosines and sines of positions 0 ..., each (positions, head_dim // 2).

    Angles are float32 products, as they were in training: far from position 0 these differ
    from the exact angles.
    """
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)
