"""What the engine asks of a model: a protocol, so that any network can stand behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from puna.kernels.batch import Batch
from puna.kernels.burst import BurstLimits, Runner
from puna.kernels.sampling import Draws


class ModelConfig(Protocol):
    """What the engine asks of a model's shape."""

    @property
    def vocab_size(self) -> int:
        """Token ids that the model has."""
        ...


class Model(Protocol):
    """Forward passes over a paged KV cache that the model owns."""

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        ...

    @property
    def context_tokens(self) -> int:
        """Positions that a sequence may use."""
        ...

    @property
    def kv_blocks(self) -> int:
        """Blocks in the KV cache, numbered from 0."""
        ...

    @property
    def max_batch_tokens(self) -> int:
        """Rows that one batch may have."""
        ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Compute the batch and return (outputs, vocab_size) logits."""
        ...

    def hidden(self, batch: Batch) -> NDArray[np.float32]:
        """Compute the batch and return (outputs, hidden_size) normed last hidden states."""
        ...

    def sample(self, logits: NDArray[np.float32], draws: Draws) -> NDArray[np.int32]:
        """Pick a token out of each row, or NOT_FINITE."""
        ...

    def burst(self, runners: Sequence[Runner], limits: BurstLimits) -> int:
        """Let each runner say what it would have said step by step; return the steps."""
        ...

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy KV blocks, each pair from, to."""
        ...
