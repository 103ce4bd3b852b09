"""Reads one GGUF file, version 2 or 3, little-endian.

In: a mapped file.  Out: its key-values and its tensors, every offset, size and
type checked.  Does not know what a key or a tensor is for, nor of other shards.

Source: the GGUF specification, docs/gguf.md in the ggml repository; where it is
loose, the rule is what ggml's own loader accepts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Final

from puna.formats import blocks
from puna.formats.cursor import U32, U64, Cursor
from puna.formats.gguf_values import read_key_values
from puna.formats.mapping import MappedFile
from puna.formats.tensor import Tensor

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
DEFAULT_ALIGNMENT: Final = 32

MAX_KEY_VALUES: Final = 1 << 16
MAX_TENSORS: Final = 1 << 16
MAX_DIMENSIONS: Final = 4
MAX_NAME_BYTES: Final = 63  # GGML_MAX_NAME, less the terminating zero


@dataclass(frozen=True)
class GGUFFile:
    """One file's contents: plain Python values, and tensors that view the map."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_gguf(file: MappedFile) -> GGUFFile:
    """Parse and check `file`.  Raises MalformedFileError or UnsupportedTypeError."""
    cursor = Cursor(file)
    n_tensors, n_key_values = _read_header(cursor)
    metadata = read_key_values(cursor, n_key_values)
    alignment = _checked_alignment(cursor, metadata)
    infos = _read_tensor_infos(cursor, n_tensors)
    return GGUFFile(metadata, _place_tensors(cursor, infos, alignment))


def _read_header(cursor: Cursor) -> tuple[int, int]:
    if cursor.take(4, "the magic number") != MAGIC:
        cursor.position = 0
        cursor.fail("it does not begin with GGUF")
    _check_version(cursor, cursor.number(U32, "the version"))
    n_tensors = cursor.number(U64, "the number of tensors")
    n_key_values = cursor.number(U64, "the number of key-values")
    cursor.check_count(n_tensors, MAX_TENSORS, 32, "tensors")
    cursor.check_count(n_key_values, MAX_KEY_VALUES, 13, "key-values")
    return n_tensors, n_key_values


def _check_version(cursor: Cursor, version: int) -> None:
    if version in VERSIONS:
        return
    if version & 0xFFFF == 0 and version != 0:
        cursor.fail("it is big-endian, and Puna reads little-endian GGUF; convert it again")
    cursor.fail(f"it has version {version}, and Puna reads versions 2 and 3")


def _checked_alignment(cursor: Cursor, metadata: dict[str, Any]) -> int:
    alignment: int = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if alignment == 0 or alignment & (alignment - 1):
        cursor.fail(f"general.alignment is {alignment}, not a power of two")
    return alignment


@dataclass(frozen=True)
class _TensorInfo:
    name: str
    shape: tuple[int, ...]
    type: blocks.BlockType
    offset: int


def _read_tensor_infos(cursor: Cursor, count: int) -> list[_TensorInfo]:
    infos: dict[str, _TensorInfo] = {}
    for _ in range(count):
        info = _read_tensor_info(cursor)
        if info.name in infos:
            cursor.fail(f"tensor {info.name!r} appears twice")
        infos[info.name] = info
    return list(infos.values())


def _read_tensor_info(cursor: Cursor) -> _TensorInfo:
    name = cursor.string("a tensor's name", MAX_NAME_BYTES)
    shape = _read_shape(cursor, name)
    block = blocks.by_id(cursor.number(U32, f"the type of tensor {name!r}"), name)
    if shape[-1] % block.block_values:
        cursor.fail(
            f"tensor {name!r} has rows of {shape[-1]:,} values, which do not fill "
            f"{block.name} blocks of {block.block_values}"
        )
    return _TensorInfo(name, shape, block, cursor.number(U64, f"the offset of tensor {name!r}"))


def _read_shape(cursor: Cursor, name: str) -> tuple[int, ...]:
    """The file has the contiguous dimension first, NumPy has it last.  A dimension of zero,
    which ggml lets pass, is refused: a network has no empty weight."""
    n_dimensions = cursor.number(U32, f"the dimensions of tensor {name!r}")
    if not 1 <= n_dimensions <= MAX_DIMENSIONS:
        cursor.fail(f"tensor {name!r} has {n_dimensions} dimensions, not 1 to {MAX_DIMENSIONS}")
    sides = [cursor.number(U64, f"the shape of tensor {name!r}") for _ in range(n_dimensions)]
    if min(sides) == 0:
        cursor.fail(f"tensor {name!r} has a dimension of zero")
    return tuple(reversed(sides))


def _place_tensors(cursor: Cursor, infos: list[_TensorInfo], alignment: int) -> dict[str, Tensor]:
    """Tensors lie one behind the other, each padded to the alignment: no hole, no overlap."""
    start = _aligned(cursor.position, alignment)
    expected = 0
    tensors: dict[str, Tensor] = {}
    for info in infos:
        if info.offset != expected:
            cursor.fail(
                f"tensor {info.name!r} claims to begin at offset {info.offset:,}, "
                f"but the tensors before it end at {expected:,}"
            )
        n_bytes = info.type.nbytes(prod(info.shape))
        tensors[info.name] = _view(cursor, info, start + expected, n_bytes)
        expected = _aligned(expected + n_bytes, alignment)
    return tensors


def _view(cursor: Cursor, info: _TensorInfo, start: int, n_bytes: int) -> Tensor:
    if start + n_bytes > cursor.file.size:
        cursor.fail(
            f"tensor {info.name!r} ends at byte {start + n_bytes:,}, "
            f"but the file has {cursor.file.size:,} bytes"
        )
    return Tensor(info.name, info.type, info.shape, cursor.file.span(start, start + n_bytes))


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
