"""A Llama's weights by their part in the network, out of either format.

In: an open checkpoint and the config.  Out: every weight, handed to the kernels
still in its block type.  Knows the names of both formats and the order of GGUF's
query and key rows; computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from puna.errors import MissingTensorError, UnsupportedModelError
from puna.formats.checkpoint import Checkpoint, Tensor
from puna.kernels import Kernels, Matrix, Rope, Vector
from puna.kernels.blocks import dequantise
from puna.model.config import LlamaConfig
from puna.model.rope import frequencies, rotations

Progress = Callable[[int, int], None]
"""Called after each tensor with the bytes that are done and the bytes in all."""
RowOrder = NDArray[np.int32]
"""(rows,): where in a tensor each row of a matrix lies."""
TakeMatrix = Callable[[Tensor, RowOrder | None], Matrix]
"""Hands a tensor to the kernels as a matrix."""


class Packer(Protocol):
    """Kernels that can say how they keep matrices; `kernels.native.Tape` says what each does."""

    def layout(self) -> str:
        """Name how matrices lie in memory."""
        ...

    def matrix(
        self,
        type_name: str,
        shape: tuple[int, int],
        data: NDArray[np.uint8],
        row_order: RowOrder | None = None,
    ) -> Matrix:
        """Pack a matrix."""
        ...

    def packed(self, matrix: Matrix) -> NDArray[np.uint8]:
        """View a matrix's bytes."""
        ...

    def adopt(self, type_name: str, shape: tuple[int, int], packed: NDArray[np.uint8]) -> Matrix:
        """Take over such bytes."""
        ...


class MatrixSource(Protocol):
    """Where a network's matrices come from, if not each from its tensor."""

    def matrices(
        self, checkpoint: Checkpoint, names: Collection[str], kernels: Packer
    ) -> AbstractContextManager[TakeMatrix]:
        """Offer what takes the matrices `names` of a checkpoint, while they are loaded."""
        ...


@dataclass(frozen=True)
class LayerWeights:
    """One transformer block; matrices are (outputs, inputs)."""

    index: int  # counted from the embedding; the kernels keep a cache for each
    attention_norm: Vector  # (hidden,)
    query: Matrix  # (heads * head_dim, hidden)
    key: Matrix  # (kv_heads * head_dim, hidden)
    value: Matrix  # (kv_heads * head_dim, hidden)
    attention_output: Matrix  # (hidden, heads * head_dim)
    mlp_norm: Vector  # (hidden,)
    gate: Matrix  # (intermediate, hidden)
    up: Matrix  # (intermediate, hidden)
    down: Matrix  # (hidden, intermediate)


@dataclass(frozen=True)
class LlamaWeights:
    """The whole network; `output` is `embedding` where the two are tied."""

    embedding: Matrix  # (vocabulary, hidden)
    layers: tuple[LayerWeights, ...]
    norm: Vector  # (hidden,)
    output: Matrix  # (vocabulary, hidden)
    rope: Rope  # what turns positions into rotations; computed, not stored in a file


# Names by LayerWeights' and LlamaWeights' fields.
NAMES = {
    "gguf": {
        "embedding": "token_embd.weight",
        "norm": "output_norm.weight",
        "output": "output.weight",
        "attention_norm": "blk.{layer}.attn_norm.weight",
        "query": "blk.{layer}.attn_q.weight",
        "key": "blk.{layer}.attn_k.weight",
        "value": "blk.{layer}.attn_v.weight",
        "attention_output": "blk.{layer}.attn_output.weight",
        "mlp_norm": "blk.{layer}.ffn_norm.weight",
        "gate": "blk.{layer}.ffn_gate.weight",
        "up": "blk.{layer}.ffn_up.weight",
        "down": "blk.{layer}.ffn_down.weight",
    },
    "safetensors": {
        "embedding": "model.embed_tokens.weight",
        "norm": "model.norm.weight",
        "output": "lm_head.weight",
        "attention_norm": "model.layers.{layer}.input_layernorm.weight",
        "query": "model.layers.{layer}.self_attn.q_proj.weight",
        "key": "model.layers.{layer}.self_attn.k_proj.weight",
        "value": "model.layers.{layer}.self_attn.v_proj.weight",
        "attention_output": "model.layers.{layer}.self_attn.o_proj.weight",
        "mlp_norm": "model.layers.{layer}.post_attention_layernorm.weight",
        "gate": "model.layers.{layer}.mlp.gate_proj.weight",
        "up": "model.layers.{layer}.mlp.up_proj.weight",
        "down": "model.layers.{layer}.mlp.down_proj.weight",
    },
}


def layer_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Give the shape of each of LayerWeights' fields."""
    hidden, intermediate = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    return {
        "attention_norm": (hidden,),
        "query": (queries, hidden),
        "key": (keys, hidden),
        "value": (keys, hidden),
        "attention_output": (hidden, queries),
        "mlp_norm": (hidden,),
        "gate": (intermediate, hidden),
        "up": (intermediate, hidden),
        "down": (hidden, intermediate),
    }


def outer_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Give the shape of each of LlamaWeights' own fields; tied networks have no `output`."""
    table = (config.vocab_size, config.hidden_size)
    shapes: dict[str, tuple[int, ...]] = {"embedding": table, "norm": (config.hidden_size,)}
    return shapes if config.tie_word_embeddings else {**shapes, "output": table}


def check_tensors(checkpoint: Checkpoint, config: LlamaConfig) -> None:
    """Look for every tensor of the network, before any memory is spent on it.

    Raises MissingTensorError for one that is absent or misshapen, UnsupportedModelError for
    biases, which no Llama of Meta's has.
    """
    for name, shape in _tensor_shapes(checkpoint, config):
        tensor = checkpoint.tensors.get(name)
        if tensor is None or tensor.shape != shape:
            raise _missing(checkpoint, name, shape, tensor)
    bias = next((name for name in checkpoint.tensors if name.endswith(".bias")), None)
    if bias is not None:
        raise UnsupportedModelError(
            f"{checkpoint.path}: tensor {bias!r} is a bias; Puna runs Llamas without biases"
        )


def load_weights(
    checkpoint: Checkpoint,
    config: LlamaConfig,
    kernels: Kernels,
    *,
    context_tokens: int,
    progress: Progress | None = None,
    take: TakeMatrix | None = None,
) -> LlamaWeights:
    """Hand every weight to the kernels; the tensors must have passed `check_tensors`.

    `take` hands over a matrix; unless said otherwise, the kernels take it as it lies in the file.
    """
    angles = frequencies(config.rope_theta, config.head_dim, config.rope_scaling)
    loader = _Loader(checkpoint, config, kernels, progress, take or packing(kernels))
    embedding = loader.weight("embedding")
    layers = tuple(loader.layer(index) for index in range(config.num_hidden_layers))
    norm = loader.weight("norm")
    output = embedding if config.tie_word_embeddings else loader.weight("output")
    rope = kernels.rope(*rotations(angles, context_tokens))
    return LlamaWeights(embedding, layers, norm, output, rope)


def packing(kernels: Kernels | Packer) -> TakeMatrix:
    """Take each matrix as it lies in the file; the kernels pack it."""

    def take(tensor: Tensor, row_order: RowOrder | None) -> Matrix:
        rows, columns = tensor.shape
        return kernels.matrix(tensor.type.name, (rows, columns), tensor.data, row_order)

    return take


def matrix_names(checkpoint: Checkpoint, config: LlamaConfig) -> list[str]:
    """Name the network's matrices, as the checkpoint does."""
    return [name for name, shape in _tensor_shapes(checkpoint, config) if len(shape) == 2]


class _Loader:
    """Takes tensors out of one checkpoint and counts their bytes."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: LlamaConfig,
        kernels: Kernels,
        progress: Progress | None,
        take: TakeMatrix,
    ) -> None:
        self._take = take
        self._checkpoint = checkpoint
        self._config = config
        self._kernels = kernels
        self._progress = progress
        names = [name for name, _ in _tensor_shapes(checkpoint, config)]
        self._total_bytes = sum(checkpoint.tensors[name].data.nbytes for name in names)
        self._done_bytes = 0

    def layer(self, index: int) -> LayerWeights:
        """Take one transformer block's weights."""
        parts = {part: self.weight(part, index) for part in layer_shapes(self._config)}
        return LayerWeights(index, **parts)

    def weight(self, part: str, layer: int = 0) -> Matrix | Vector:
        """Take the tensor that plays this part."""
        tensor = self._checkpoint.tensors[_name(self._checkpoint, part, layer)]
        self._checkpoint.check_unchanged()
        taken = self._vector(tensor) if len(tensor.shape) == 1 else self._matrix(tensor, part)
        self._checkpoint.release(tensor)  # the packed weights need no second copy beside them
        self._done_bytes += tensor.data.nbytes
        if self._progress:
            self._progress(self._done_bytes, self._total_bytes)
        return taken

    def _vector(self, tensor: Tensor) -> Vector:
        return self._kernels.vector(dequantise(tensor.data, tensor.type.name, tensor.shape[0]))

    def _matrix(self, tensor: Tensor, part: str) -> Matrix:
        rotated = part in {"query", "key"} and self._checkpoint.format == "gguf"
        row_order = _interleaved_rows(tensor.shape[0], self._config.head_dim) if rotated else None
        matrix = self._take(tensor, row_order)
        if part != "embedding" or self._config.tie_word_embeddings:  # else a step reads a few rows
            self._kernels.bring_in(matrix)
        return matrix


def _tensor_shapes(
    checkpoint: Checkpoint, config: LlamaConfig
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name each tensor of the network, with its shape."""
    for part, shape in outer_shapes(config).items():
        yield _name(checkpoint, part), shape
    for layer in range(config.num_hidden_layers):
        for part, shape in layer_shapes(config).items():
            yield _name(checkpoint, part, layer), shape


def _name(checkpoint: Checkpoint, part: str, layer: int = 0) -> str:
    return NAMES[checkpoint.format][part].format(layer=layer)


def _missing(
    checkpoint: Checkpoint, name: str, shape: tuple[int, ...], found: Tensor | None
) -> MissingTensorError:
    state = f"has shape {found.shape}" if found else "is missing"
    return MissingTensorError(
        f"{checkpoint.path}: tensor {name!r} {state}; the network needs shape {shape}; "
        "the file is incomplete or was converted wrongly, so fetch or convert it again"
    )


def _interleaved_rows(rows: int, head_dim: int) -> RowOrder:
    """Find where GGUF keeps each row of a query or key matrix.

    Llama files in GGUF pair neighbouring values of a head for rotation, and have their rows
    moved for it: value i of a head's first half lies at 2 i, value i of the second at 2 i + 1.
    """
    lying = np.arange(rows, dtype=np.int32).reshape(-1, head_dim // 2, 2)
    return lying.swapaxes(1, 2).reshape(-1)
