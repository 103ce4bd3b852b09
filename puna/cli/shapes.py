"""The published Llama shapes, tensor by tensor, and the memory that they take.

In: a shape's name and a quantisation.  Out: names, sizes and block types of the
tensors of a GGUF file of that shape.  Knows no file and no weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from puna.errors import SettingError
from puna.formats.blocks import F32, Q4_K, Q5_K, Q6_K, SUPPORTED, BlockType, by_name

MIX = "Q4_K_M"  # llama.cpp's mix of Q4_K and Q6_K
QUANTS = (*(block.name for block in SUPPORTED), MIX)
KV_VALUE_BYTES = 2  # keys and values are kept as float16


@dataclass(frozen=True)
class Shape:
    """The numbers of config.json that fix every tensor's size."""

    name: str
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    intermediate_size: int
    tied: bool = False  # output.weight is token_embd.weight
    head_dim: int = 128
    vocab_size: int = 128_256
    max_position_embeddings: int = 131_072

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield (name in GGUF, shape in NumPy order)."""
        yield "token_embd.weight", (self.vocab_size, self.hidden_size)
        for layer in range(self.layers):
            for name, shape in self._layer().items():
                yield f"blk.{layer}.{name}.weight", shape
        yield "output_norm.weight", (self.hidden_size,)
        if not self.tied:
            yield "output.weight", (self.vocab_size, self.hidden_size)

    def _layer(self) -> dict[str, tuple[int, ...]]:
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "attn_norm": (self.hidden_size,),
            "attn_q": (queries, self.hidden_size),
            "attn_k": (keys, self.hidden_size),
            "attn_v": (keys, self.hidden_size),
            "attn_output": (self.hidden_size, queries),
            "ffn_norm": (self.hidden_size,),
            "ffn_gate": (self.intermediate_size, self.hidden_size),
            "ffn_up": (self.intermediate_size, self.hidden_size),
            "ffn_down": (self.hidden_size, self.intermediate_size),
        }

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(prod(shape) for _, shape in self.tensors())

    def weight_bytes(self, quant: str) -> int:
        """Bytes of all tensors when quantised as `quant`."""
        return sum(
            self.block_type(quant, name).nbytes(prod(shape)) for name, shape in self.tensors()
        )

    def kv_bytes(self, tokens: int) -> int:
        """Bytes of the keys and values of `tokens` tokens."""
        return 2 * self.layers * self.kv_heads * self.head_dim * KV_VALUE_BYTES * tokens

    def block_type(self, quant: str, tensor: str) -> BlockType:
        """How `tensor` is stored: norms in F32, matrices as `quant` says."""
        if tensor.endswith("norm.weight"):
            return F32
        return self._mixed(tensor) if quant == MIX else by_name(quant)

    def _mixed(self, tensor: str) -> BlockType:
        # llama.cpp, llama_tensor_get_type for LLAMA_FTYPE_MOSTLY_Q4_K_M.
        if tensor == "output.weight" or (self.tied and tensor == "token_embd.weight"):
            return Q6_K
        part = tensor.split(".")
        if part[-2] not in ("attn_v", "ffn_down"):
            return Q4_K
        if self._wants_more_bits(int(part[1])):
            return Q6_K
        return Q5_K if part[-2] == "attn_v" and self.layers == 80 else Q4_K

    def _wants_more_bits(self, layer: int) -> bool:
        eighth = self.layers // 8
        return layer < eighth or layer >= 7 * self.layers // 8 or (layer - eighth) % 3 == 2


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("1B", 2048, 16, 32, 8, 8192, tied=True, head_dim=64),
        Shape("3B", 3072, 28, 24, 8, 8192, tied=True),
        Shape("8B", 4096, 32, 32, 8, 14_336),
        Shape("70B", 8192, 80, 64, 8, 28_672),
        Shape("405B", 16_384, 126, 128, 8, 53_248),
    )
}


def find_shape(name: str) -> Shape:
    """Return the shape called `name`, in either case; SettingError if there is none."""
    if name.upper() not in SHAPES:
        raise SettingError(f"there is no shape {name!r}; choose one of {', '.join(SHAPES)}")
    return SHAPES[name.upper()]


def find_quant(name: str) -> str:
    """Return `name` as `QUANTS` writes it; SettingError if there is none."""
    if name.upper() not in QUANTS:
        raise SettingError(f"there is no quantisation {name!r}; choose one of {', '.join(QUANTS)}")
    return name.upper()


def memory_table() -> str:
    """Write the shapes and their memory as a Markdown table (GB are 10^9 bytes)."""
    rows = [["", *SHAPES], ["---", *("---:" for _ in SHAPES)]]
    rows += [[label, *cells] for label, cells in _facts()]
    rows += [[quant, *(_gb(s.weight_bytes(quant)) for s in SHAPES.values())] for quant in QUANTS]
    for tokens in (8192, 131_072):
        rows.append(
            [f"KV cache, {tokens:,} tokens", *(_gb(s.kv_bytes(tokens)) for s in SHAPES.values())]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _facts() -> Iterator[tuple[str, list[str]]]:
    shapes = SHAPES.values()
    yield "parameters", [f"{s.parameters / 1e9:.2f} B" for s in shapes]
    yield "layers", [f"{s.layers}" for s in shapes]
    yield "hidden size", [f"{s.hidden_size:,}" for s in shapes]
    yield "heads, KV heads", [f"{s.heads}, {s.kv_heads}" for s in shapes]
    yield "feed-forward size", [f"{s.intermediate_size:,}" for s in shapes]
    yield "embeddings", ["tied" if s.tied else "untied" for s in shapes]


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
