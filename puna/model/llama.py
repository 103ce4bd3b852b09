"""The Llama network, top to bottom (arXiv:2302.13971, arXiv:2407.21783).

In: one step's batch of token ids.  Out: the logits of the rows that want them.
Written once, in kernels; does not know how a kernel computes, nor what a token
means.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from puna.errors import SettingError
from puna.formats.checkpoint import Checkpoint
from puna.kernels import (
    BLOCK_TOKENS,
    Activation,
    Batch,
    BurstLimits,
    Draws,
    Kernels,
    KvType,
    Rope,
    Runner,
    Shape,
)
from puna.model.config import LlamaConfig
from puna.model.weights import (
    LayerWeights,
    LlamaWeights,
    MatrixSource,
    Progress,
    check_tensors,
    load_weights,
    matrix_names,
)

if TYPE_CHECKING:
    from puna.kernels.native import Tape


def network(k: Kernels, config: LlamaConfig, weights: LlamaWeights) -> Activation:
    """Compute the logits, (outputs, vocabulary)."""
    return k.linear(hidden_states(k, config, weights), weights.output)


def hidden_states(k: Kernels, config: LlamaConfig, weights: LlamaWeights) -> Activation:
    """Compute the normed last hidden states, (outputs, hidden)."""
    x = k.embed(weights.embedding)  # (rows, hidden), the residual stream
    for layer in weights.layers:
        x = attention_block(k, config, x, layer, weights.rope)
        x = feed_forward_block(k, config, x, layer)
    return k.rms_norm(k.output_rows(x), weights.norm, config.rms_norm_eps)


def attention_block(
    k: Kernels, config: LlamaConfig, x: Activation, layer: LayerWeights, rope: Rope
) -> Activation:
    """Let each token read those before it: grouped-query attention, rotary positions."""
    normed = k.rms_norm(x, layer.attention_norm, config.rms_norm_eps)
    qkv = k.linear(normed, layer.query, layer.key, layer.value)
    mixed = k.attention(qkv, rope, layer.index)  # (rows, heads * head_dim)
    return k.linear_add(mixed, layer.attention_output, residual=x)


def feed_forward_block(
    k: Kernels, config: LlamaConfig, x: Activation, layer: LayerWeights
) -> Activation:
    """Transform each token by itself: SwiGLU."""
    normed = k.rms_norm(x, layer.mlp_norm, config.rms_norm_eps)
    hidden = k.swiglu(normed, layer.gate, layer.up)  # (rows, intermediate)
    return k.linear_add(hidden, layer.down, residual=x)


class Llama:
    """A network with its weights and its cache of keys and values."""

    def __init__(
        self, config: LlamaConfig, weights: LlamaWeights, kernels: Kernels, shape: Shape
    ) -> None:
        self.config = config
        self.context_tokens = shape.context_tokens
        self.kv_blocks = shape.kv_blocks
        self.max_batch_tokens = shape.max_batch_tokens
        self._weights = weights
        self._kernels = kernels

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        context_tokens: int | None = None,
        kv_blocks: int,
        max_batch_tokens: int = 512,
        threads: int | None = None,
        progress: Progress | None = None,
        isa: str | None = None,
        reference: bool = False,
        packed: MatrixSource | None = None,
        kv_type: KvType = "f16",
    ) -> Llama:
        """Load the weights and make room for `kv_blocks` blocks of cached keys and values.

        `context_tokens` is what the model was trained for, or what the cache can hold, unless
        said otherwise; `threads` is every core that this process may use, `isa` the widest
        instruction set that it has.  `kv_type` "int8" halves the cache and what a step reads of
        it, for a little precision.  With `reference`, NumPy computes.  `packed` may know the
        matrices from an earlier time (`model.packed`).  Raises a ModelFileError for a model that
        cannot be run, and SettingError for a context that it does not have.
        """
        config = LlamaConfig.from_checkpoint(checkpoint)
        check_tensors(checkpoint, config)
        context = _context(config, context_tokens, kv_blocks)
        shape = _shape(config, context, kv_blocks, max_batch_tokens, kv_type)
        load = partial(load_weights, checkpoint, config, context_tokens=context, progress=progress)
        if reference:
            from puna.kernels.reference import Eager  # noqa: PLC0415 (of use to the curious alone)

            eager = Eager(shape)
            return cls(config, load(eager), eager, shape)
        tape = _tape(shape, threads, isa)
        names = matrix_names(checkpoint, config)
        source = packed.matrices(checkpoint, names, tape) if packed else nullcontext()
        with source as take:
            weights = load(tape, take=take)
        return cls(config, weights, tape, shape)

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Append the batch's tokens to the cache; compute (outputs, vocab_size) logits."""
        return self._kernels.run(self._network, batch)

    def hidden(self, batch: Batch) -> NDArray[np.float32]:
        """Append the batch's tokens to the cache; compute (outputs, hidden_size) hidden states."""
        return self._kernels.run(self._hidden_states, batch)

    def sample(self, logits: NDArray[np.float32], draws: Draws) -> NDArray[np.int32]:
        """Pick a token out of each row of (rows, vocab_size) logits, or NOT_FINITE."""
        return self._kernels.sample(logits, draws)

    def burst(self, runners: Sequence[Runner], limits: BurstLimits) -> int:
        """Let each runner say several tokens; return how many steps it took."""
        return self._kernels.burst(self._network, runners, limits)

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy cache blocks, (from, to) each, before sequences that share one part ways."""
        self._kernels.copy_blocks(pairs)

    def close(self) -> None:
        """Give back weights and cache."""
        self._kernels.close()

    def _network(self, k: Kernels) -> Activation:
        return network(k, self.config, self._weights)

    def _hidden_states(self, k: Kernels) -> Activation:
        return hidden_states(k, self.config, self._weights)


def _context(config: LlamaConfig, wanted: int | None, kv_blocks: int) -> int:
    trained = config.max_position_embeddings
    if wanted is None:
        return min(trained, kv_blocks * BLOCK_TOKENS)
    if not 1 <= wanted <= trained:
        raise SettingError(
            f"context_tokens is {wanted}, but this model has positions for 1 to {trained}; "
            "choose a number between them"
        )
    return wanted


def _shape(
    config: LlamaConfig, context: int, kv_blocks: int, max_batch_tokens: int, kv_type: KvType
) -> Shape:
    return Shape(
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        kv_blocks=kv_blocks,
        max_batch_tokens=max_batch_tokens,
        context_tokens=context,
        kv_type=kv_type,
    )


def _tape(shape: Shape, threads: int | None, isa: str | None) -> Tape:
    from puna.kernels.native import Tape  # noqa: PLC0415 (the reference runs without a compiler)

    return Tape(shape, threads, isa)
