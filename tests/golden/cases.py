"""The random Llamas whose logits are kept in logits.npz, and the tokens they read.

In: a case's name.  Out: weights, tokens and the rows to compare, all from fixed
seeds.  Knows neither Hugging Face's network nor ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.tiny import TinyLlama

LOGITS = Path(__file__).with_name("logits.npz")
ENGLISH = Path(__file__).with_name("english.txt")


@dataclass(frozen=True)
class Case:
    """One Llama reading `length` random tokens; logits are kept for a few rows of them."""

    llama: TinyLlama
    length: int

    @property
    def tokens(self) -> NDArray[np.int32]:
        """Random ids, (length,)."""
        random = np.random.default_rng(self.llama.seed + 1000)
        return random.integers(0, len(self.llama.tokens), self.length).astype(np.int32)

    @property
    def rows(self) -> NDArray[np.int32]:
        """Sixteen rows, evenly apart, the last token among them."""
        return np.linspace(0, self.length - 1, 16).astype(np.int32)

    def fingerprint(self) -> str:
        """Hash the weights, so that logits of other weights are never compared."""
        digest = hashlib.sha256()
        for name, values in self.llama.tensors.items():
            digest.update(name.encode() + values.tobytes())
        return digest.hexdigest()


CASES = {
    "grouped heads": Case(TinyLlama(seed=1), 200),
    "tied embeddings": Case(TinyLlama(seed=2, tied=True, heads=8, kv_heads=2), 200),
    "one key head for each query head": Case(TinyLlama(seed=3, kv_heads=4, head_dim=32), 200),
    "one key head for all": Case(TinyLlama(seed=4, kv_heads=1, layers=4), 200),
    "llama3 scaling": Case(TinyLlama(seed=5, rope_scaling=True, rope_theta=5e5, head_dim=64), 700),
    "past 8,192 positions": Case(
        TinyLlama(
            seed=6, rope_scaling=True, rope_theta=5e5, tied=True, heads=2, kv_heads=1, head_dim=64
        ),
        8500,
    ),
}
