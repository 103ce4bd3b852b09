"""Writes a GGUF file, version 3, without holding its weights in memory.

In: key-values, and tensors whose bytes are made piece by piece when their turn
comes.  Out: a file that appears whole or not at all.  Does not quantise.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from puna.errors import ModelFileError
from puna.formats.blocks import BlockType
from puna.formats.gguf import DEFAULT_ALIGNMENT, MAGIC
from puna.formats.gguf_values import NUMBER_DTYPES, ValueType

VERSION: Final = 3
Value = bool | int | float | str | np.generic | Sequence[str] | NDArray[Any]

_TYPE_BY_DTYPE: Final = {dtype: ValueType(kind) for kind, dtype in NUMBER_DTYPES.items()}


@dataclass(frozen=True)
class TensorSource:
    """A tensor to be written: `shape` in NumPy order, `pieces` makes all its bytes in order."""

    name: str
    type: BlockType
    shape: tuple[int, ...]
    pieces: Callable[[], Iterable[bytes]]

    @property
    def nbytes(self) -> int:
        """Bytes that `pieces` must add up to."""
        return self.type.nbytes(prod(self.shape))


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Sequence[TensorSource]) -> None:
    """Write beside `path` and rename at the end.

    Python numbers become uint32 or int32 where they fit, otherwise 64 bits, and
    float32; NumPy scalars and arrays keep their own type.
    Raises ModelFileError if the disk does not take it.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb", buffering=1 << 20) as file:
            file.write(_header(metadata, tensors))
            for tensor in tensors:
                _write_padding(file)
                _write_tensor(file, tensor)
            _write_padding(file)
        os.replace(partial, path)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _header(metadata: Mapping[str, Value], tensors: Sequence[TensorSource]) -> bytes:
    counts = struct.pack("<IQQ", VERSION, len(tensors), len(metadata))
    key_values = (_string(key) + _typed(value) for key, value in metadata.items())
    return MAGIC + counts + b"".join(key_values) + b"".join(_infos(tensors))


def _infos(tensors: Sequence[TensorSource]) -> Iterator[bytes]:
    offset = 0
    for tensor in tensors:
        sides = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape[::-1])
        yield _string(tensor.name) + sides + struct.pack("<IQ", tensor.type.ggml_id, offset)
        offset += tensor.nbytes + _padding(tensor.nbytes)


def _write_tensor(file: BinaryIO, tensor: TensorSource) -> None:
    written = sum(file.write(piece) for piece in tensor.pieces())
    assert written == tensor.nbytes, f"{tensor.name}: {written} of {tensor.nbytes} bytes"


def _write_padding(file: BinaryIO) -> None:
    file.write(b"\0" * _padding(file.tell()))


def _padding(position: int) -> int:
    return -position % DEFAULT_ALIGNMENT


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Value) -> bytes:
    """A value behind the number of its type."""
    if isinstance(value, str):
        return struct.pack("<I", ValueType.STRING) + _string(value)
    if isinstance(value, np.ndarray):
        items = value.astype(value.dtype.newbyteorder("<"))
        return _array_head(_value_type(items.dtype), len(items)) + items.tobytes()
    if isinstance(value, Sequence):
        return _array_head(ValueType.STRING, len(value)) + b"".join(map(_string, value))
    number = value if isinstance(value, np.generic) else _fitting(value)
    return struct.pack("<I", _value_type(number.dtype)) + number.tobytes()


def _array_head(item: ValueType, count: int) -> bytes:
    return struct.pack("<IIQ", ValueType.ARRAY, item, count)


def _value_type(dtype: np.dtype[Any]) -> ValueType:
    return ValueType.BOOL if dtype == np.bool_ else _TYPE_BY_DTYPE[dtype.newbyteorder("<")]


def _fitting(value: bool | int | float) -> np.generic:
    """The NumPy scalar that a Python number is written as."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, float):
        return np.float32(value)
    if value < 0:
        return np.int32(value) if value >= -(1 << 31) else np.int64(value)
    return np.uint32(value) if value < 1 << 32 else np.uint64(value)
