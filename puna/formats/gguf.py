"""Reads one GGUF file, version 2 or 3, little-endian.

In: a mapped file.  Out: its key-values and its tensors, every offset, size and
type checked.  Does not know what a key or a tensor is for, nor of other shards.

Source: the GGUF specification, docs/gguf.md in the ggml repository; where it is
loose, the rule is what ggml's own loader accepts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from puna.errors import MalformedFileError
from puna.formats import blocks
from puna.formats.mapping import MappedFile
from puna.formats.tensor import Tensor

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
DEFAULT_ALIGNMENT: Final = 32

MAX_STRING_BYTES: Final = 64 << 20
MAX_ARRAY_ITEMS: Final = 16 << 20
MAX_KEY_VALUES: Final = 1 << 16
MAX_TENSORS: Final = 1 << 16
MAX_DIMENSIONS: Final = 4
MAX_KEY_BYTES: Final = 65535
MAX_NAME_BYTES: Final = 63  # GGML_MAX_NAME, less the terminating zero

UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64 = (
    range(13)
)
VALUE_NAMES: Final = (
    "uint8 int8 uint16 int16 uint32 int32 float32 bool string array uint64 int64 float64"
).split()

NUMBER_TYPES: Final = {
    UINT8: np.dtype("<u1"),
    INT8: np.dtype("<i1"),
    UINT16: np.dtype("<u2"),
    INT16: np.dtype("<i2"),
    UINT32: np.dtype("<u4"),
    INT32: np.dtype("<i4"),
    FLOAT32: np.dtype("<f4"),
    UINT64: np.dtype("<u8"),
    INT64: np.dtype("<i8"),
    FLOAT64: np.dtype("<f8"),
}
_SCALARS: Final = {
    kind: struct.Struct(f"<{code}")
    for kind, code in zip(NUMBER_TYPES, "B b H h I i f Q q d".split(), strict=True)
}
_U32: Final = _SCALARS[UINT32]
_U64: Final = _SCALARS[UINT64]

# Keys whose type the specification fixes and which others index without asking again.
_FIXED_TYPES: Final = {
    "general.alignment": (UINT32, None),
    "general.architecture": (STRING, None),
    "tokenizer.ggml.model": (STRING, None),
    "tokenizer.ggml.pre": (STRING, None),
    "tokenizer.ggml.tokens": (ARRAY, STRING),
    "tokenizer.ggml.merges": (ARRAY, STRING),
    "tokenizer.ggml.scores": (ARRAY, FLOAT32),
    "tokenizer.ggml.token_type": (ARRAY, INT32),
    "tokenizer.chat_template": (STRING, None),
}


@dataclass(frozen=True)
class GGUFFile:
    """One file's contents: plain Python values, and tensors that view the map."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_gguf(file: MappedFile) -> GGUFFile:
    """Parse and check `file`.  Raises MalformedFileError or UnsupportedTypeError."""
    cursor = _Cursor(file)
    n_tensors, n_key_values = _read_header(cursor)
    metadata = _read_key_values(cursor, n_key_values)
    alignment = _checked_alignment(cursor, metadata)
    infos = _read_tensor_infos(cursor, n_tensors)
    return GGUFFile(metadata, _place_tensors(cursor, infos, alignment))


class _Cursor:
    """A position in the file; every step forward is checked against its end."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.position = 0

    def fail(self, what: str) -> NoReturn:
        raise MalformedFileError(
            f"{self.file.path}: not a sound GGUF file: {what} (near byte {self.position:,}); "
            "download it again"
        )

    def number(self, form: struct.Struct, what: str) -> Any:
        try:
            (value,) = form.unpack_from(self.file.map, self.position)
        except struct.error:
            self.fail(f"it ends inside {what}")
        self.position += form.size
        return value

    def take(self, n_bytes: int, what: str) -> bytes:
        stop = self.position + n_bytes
        if stop > self.file.size:
            self.fail(f"{what} claims {n_bytes:,} bytes, more than the file has left")
        taken = self.file.map[self.position : stop]
        self.position = stop
        return taken

    def string(self, what: str, max_bytes: int = MAX_STRING_BYTES) -> str:
        n_bytes = self.number(_U64, what)
        if n_bytes > max_bytes:
            self.fail(f"{what} claims {n_bytes:,} bytes, over the limit of {max_bytes:,}")
        try:
            return self.take(n_bytes, what).decode()
        except UnicodeDecodeError:
            self.fail(f"{what} is not UTF-8 text")

    def strings(self, count: int, what: str) -> list[str]:
        """`count` strings in one loop: a vocabulary of 128k tokens and 280k merges takes
        this path, so it makes no call that it can spare."""
        data, size, position = self.file.map, self.file.size, self.position
        unpack = _U64.unpack_from
        texts: list[str] = []
        append = texts.append
        try:
            for _ in range(count):
                start = position + 8
                position = start + unpack(data, position)[0]
                if position > size or position - start > MAX_STRING_BYTES:
                    self.position = start
                    self.fail(f"string {len(texts):,} of {what} is longer than it may be")
                append(data[start:position].decode())
        except struct.error:
            self.fail(f"it ends inside {what}")
        except UnicodeDecodeError:
            self.fail(f"string {len(texts):,} of {what} is not UTF-8 text")
        self.position = position
        return texts


def _read_header(cursor: _Cursor) -> tuple[int, int]:
    if cursor.take(4, "the magic number") != MAGIC:
        cursor.position = 0
        cursor.fail("it does not begin with GGUF")
    _check_version(cursor, cursor.number(_U32, "the version"))
    n_tensors = cursor.number(_U64, "the number of tensors")
    n_key_values = cursor.number(_U64, "the number of key-values")
    _check_count(cursor, n_tensors, MAX_TENSORS, 32, "tensors")
    _check_count(cursor, n_key_values, MAX_KEY_VALUES, 13, "key-values")
    return n_tensors, n_key_values


def _check_version(cursor: _Cursor, version: int) -> None:
    if version in VERSIONS:
        return
    if version & 0xFFFF == 0 and version != 0:
        cursor.fail("it is big-endian, and Puna reads little-endian GGUF; convert it again")
    cursor.fail(f"it has version {version}, and Puna reads versions 2 and 3")


def _check_count(cursor: _Cursor, count: int, limit: int, least_bytes: int, what: str) -> None:
    """Refuse a count before anything is allocated for it: each item has a least size."""
    if count > limit:
        cursor.fail(f"it claims {count:,} {what}, over the limit of {limit:,}")
    if count * least_bytes > cursor.file.size - cursor.position:
        cursor.fail(f"it claims {count:,} {what}, more than fit in what is left of the file")


def _read_key_values(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.string("a key", MAX_KEY_BYTES)
        if key in metadata:
            cursor.fail(f"key {key!r} appears twice")
        metadata[key] = _read_value(cursor, key)
    return metadata


def _read_value(cursor: _Cursor, key: str) -> Any:
    kind = cursor.number(_U32, f"the type of {key!r}")
    _check_fixed_type(cursor, key, kind, None)
    if kind == STRING:
        return cursor.string(repr(key))
    if kind == ARRAY:
        return _read_array(cursor, key)
    if kind == BOOL:
        return bool(_checked_bools(cursor, key, cursor.take(1, repr(key)))[0])
    if kind not in _SCALARS:
        cursor.fail(f"{key!r} has the unknown value type {kind}")
    return cursor.number(_SCALARS[kind], repr(key))


def _check_fixed_type(cursor: _Cursor, key: str, kind: int, item: int | None) -> None:
    wanted = _FIXED_TYPES.get(key)
    if wanted is None:
        return
    expected = wanted[0] if item is None else wanted[1]
    if expected is not None and (kind if item is None else item) != expected:
        cursor.fail(f"{key!r} must hold {VALUE_NAMES[expected]} values")


def _read_array(cursor: _Cursor, key: str) -> list[str] | NDArray[Any]:
    item = cursor.number(_U32, f"the item type of {key!r}")
    _check_fixed_type(cursor, key, ARRAY, item)
    count = cursor.number(_U64, f"the length of {key!r}")
    if item == ARRAY:
        cursor.fail(f"{key!r} is an array of arrays, which no model needs")
    if item == STRING:
        _check_count(cursor, count, MAX_ARRAY_ITEMS, 8, f"strings in {key!r}")
        return cursor.strings(count, repr(key))
    return _read_numbers(cursor, key, item, count)


def _read_numbers(cursor: _Cursor, key: str, item: int, count: int) -> NDArray[Any]:
    """Numbers or truth values, copied out of the map so that they outlive it."""
    dtype = np.dtype(np.uint8) if item == BOOL else NUMBER_TYPES.get(item)
    if dtype is None:
        cursor.fail(f"{key!r} has the unknown item type {item}")
    _check_count(cursor, count, MAX_ARRAY_ITEMS, dtype.itemsize, f"numbers in {key!r}")
    raw = cursor.take(count * dtype.itemsize, repr(key))
    return _checked_bools(cursor, key, raw) if item == BOOL else np.frombuffer(raw, dtype=dtype)


def _checked_bools(cursor: _Cursor, key: str, raw: bytes) -> NDArray[np.bool_]:
    values = np.frombuffer(raw, dtype=np.uint8)
    if values.size and values.max() > 1:
        cursor.fail(f"{key!r} holds a truth value that is neither 0 nor 1")
    return values.astype(np.bool_)


def _checked_alignment(cursor: _Cursor, metadata: dict[str, Any]) -> int:
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


def _read_tensor_infos(cursor: _Cursor, count: int) -> list[_TensorInfo]:
    infos: dict[str, _TensorInfo] = {}
    for _ in range(count):
        info = _read_tensor_info(cursor)
        if info.name in infos:
            cursor.fail(f"tensor {info.name!r} appears twice")
        infos[info.name] = info
    return list(infos.values())


def _read_tensor_info(cursor: _Cursor) -> _TensorInfo:
    name = cursor.string("a tensor's name", MAX_NAME_BYTES)
    shape = _read_shape(cursor, name)
    block = blocks.by_id(cursor.number(_U32, f"the type of tensor {name!r}"), name)
    if shape[-1] % block.block_values:
        cursor.fail(
            f"tensor {name!r} has rows of {shape[-1]:,} values, which do not fill "
            f"{block.name} blocks of {block.block_values}"
        )
    return _TensorInfo(name, shape, block, cursor.number(_U64, f"the offset of tensor {name!r}"))


def _read_shape(cursor: _Cursor, name: str) -> tuple[int, ...]:
    """The file has the contiguous dimension first, NumPy has it last.  A dimension of zero,
    which ggml lets pass, is refused: a network has no empty weight."""
    n_dimensions = cursor.number(_U32, f"the dimensions of tensor {name!r}")
    if not 1 <= n_dimensions <= MAX_DIMENSIONS:
        cursor.fail(f"tensor {name!r} has {n_dimensions} dimensions, not 1 to {MAX_DIMENSIONS}")
    sides = [cursor.number(_U64, f"the shape of tensor {name!r}") for _ in range(n_dimensions)]
    if min(sides) == 0:
        cursor.fail(f"tensor {name!r} has a dimension of zero")
    return tuple(reversed(sides))


def _place_tensors(cursor: _Cursor, infos: list[_TensorInfo], alignment: int) -> dict[str, Tensor]:
    """Tensors lie one behind the other, each padded to the alignment: no hole, no overlap."""
    start = _aligned(cursor.position, alignment)
    expected = 0
    tensors: dict[str, Tensor] = {}
    for info in infos:
        if info.offset != expected:
            cursor.fail(
                f"tensor {info.name!r} is said to begin at offset {info.offset:,}, "
                f"but the ones before it end at {expected:,}"
            )
        n_bytes = info.type.nbytes(prod(info.shape))
        tensors[info.name] = _view(cursor, info, start + expected, n_bytes)
        expected = _aligned(expected + n_bytes, alignment)
    return tensors


def _view(cursor: _Cursor, info: _TensorInfo, start: int, n_bytes: int) -> Tensor:
    if start + n_bytes > cursor.file.size:
        cursor.fail(
            f"tensor {info.name!r} ends at byte {start + n_bytes:,}, "
            f"but the file has {cursor.file.size:,} bytes"
        )
    return Tensor(info.name, info.type, info.shape, cursor.file.span(start, start + n_bytes))


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
