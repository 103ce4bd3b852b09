"""How numbers are packed into blocks in a file.

In: a ggml type number or a type's name.  Out: how many values a block holds and
how many bytes it takes.  Does not know what the bytes mean: kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.errors import SettingError, UnsupportedTypeError


@dataclass(frozen=True)
class BlockType:
    """One way to store numbers: `block_values` of them take `block_bytes` bytes."""

    name: str
    ggml_id: int
    block_values: int
    block_bytes: int

    def nbytes(self, n_values: int) -> int:
        """Size of `n_values` numbers, which must fill whole blocks."""
        blocks, rest = divmod(n_values, self.block_values)
        assert rest == 0, f"{n_values} values do not fill blocks of {self.block_values}"
        return blocks * self.block_bytes


# Sizes as in ggml-common.h; the K types pack super-blocks of 256 values.
F32 = BlockType("F32", 0, 1, 4)
F16 = BlockType("F16", 1, 1, 2)
Q4_0 = BlockType("Q4_0", 2, 32, 18)
Q4_1 = BlockType("Q4_1", 3, 32, 20)
Q5_0 = BlockType("Q5_0", 6, 32, 22)
Q5_1 = BlockType("Q5_1", 7, 32, 24)
Q8_0 = BlockType("Q8_0", 8, 32, 34)
Q2_K = BlockType("Q2_K", 10, 256, 84)
Q3_K = BlockType("Q3_K", 11, 256, 110)
Q4_K = BlockType("Q4_K", 12, 256, 144)
Q5_K = BlockType("Q5_K", 13, 256, 176)
Q6_K = BlockType("Q6_K", 14, 256, 210)
BF16 = BlockType("BF16", 30, 1, 2)

SUPPORTED = (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K)
SUPPORTED_NAMES = ", ".join(block.name for block in SUPPORTED)

_BY_ID = {block.ggml_id: block for block in SUPPORTED}
_BY_NAME = {block.name: block for block in SUPPORTED}

# Types that ggml has or once had, so that a refusal can call them by name.
_OTHER_NAMES = {
    4: "Q4_2 (removed from ggml)",
    5: "Q4_3 (removed from ggml)",
    9: "Q8_1",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    31: "Q4_0_4_4 (removed from ggml)",
    32: "Q4_0_4_8 (removed from ggml)",
    33: "Q4_0_8_8 (removed from ggml)",
    34: "TQ1_0",
    35: "TQ2_0",
    36: "IQ4_NL_4_4 (removed from ggml)",
    37: "IQ4_NL_4_8 (removed from ggml)",
    38: "IQ4_NL_8_8 (removed from ggml)",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}


def by_id(ggml_id: int, tensor: str) -> BlockType:
    """The block type that ggml numbers `ggml_id`; `tensor` is named if Puna has none such."""
    block = _BY_ID.get(ggml_id)
    if block is None:
        name = _OTHER_NAMES.get(ggml_id, f"type number {ggml_id}, unknown to ggml")
        raise UnsupportedTypeError(tensor, name, SUPPORTED_NAMES)
    return block


def by_name(name: str) -> BlockType:
    """The block type called `name`, in upper or lower case."""
    block = _BY_NAME.get(name.upper())
    if block is None:
        raise SettingError(f"there is no block type {name!r}; choose one of {SUPPORTED_NAMES}")
    return block
