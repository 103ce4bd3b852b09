"""Reads one safetensors file.

In: a mapped file.  Out: its tensors, every offset, size and type checked.
Does not know config.json, other shards or what a tensor is for.

Source: the format section of the safetensors README.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import Any, Final, NoReturn

from puna.errors import MalformedFileError, UnsupportedTypeError
from puna.formats import blocks, strict_json
from puna.formats.mapping import MappedFile
from puna.formats.tensor import Tensor

MAX_HEADER_BYTES: Final = 100_000_000
MAX_TENSORS: Final = 1 << 14  # in one file
MAX_DIMENSIONS: Final = 4
PIECE_BYTES: Final = 1 << 20
MAX_SIDE: Final = 1 << 48

_TYPES: Final = {"F32": blocks.F32, "F16": blocks.F16, "BF16": blocks.BF16}
_TYPE_NAMES: Final = ", ".join(_TYPES)
_ENTRY_KEYS: Final = {"dtype", "shape", "data_offsets"}


def looks_like_safetensors(start: bytes) -> bool:
    """Whether a file's first bytes are a plausible length and a JSON object's brace."""
    return len(start) > 8 and start[8:9] == b"{" and _header_length(start) <= MAX_HEADER_BYTES


def read_safetensors(file: MappedFile) -> dict[str, Tensor]:
    """Parse and check `file`.  Raises MalformedFileError or UnsupportedTypeError."""
    header, data_start = _read_header(file)
    header.pop("__metadata__", None)
    entries = [_checked_entry(file, name, entry) for name, entry in header.items()]
    _check_layout(file, entries, file.size - data_start)
    return {entry.name: _view(file, entry, data_start) for entry in entries}


@dataclass(frozen=True)
class _Entry:
    name: str
    type: blocks.BlockType
    shape: tuple[int, ...]
    start: int
    stop: int


def _fail(file: MappedFile, what: str) -> NoReturn:
    raise MalformedFileError(
        f"{file.path}: not a sound safetensors file: {what}; download it again"
    )


def _header_length(start: bytes) -> int:
    (length,) = struct.unpack_from("<Q", start)
    return int(length)


def _read_header(file: MappedFile) -> tuple[dict[str, Any], int]:
    if file.size < 10:
        _fail(file, f"{file.size} bytes are too few to hold a header")
    n_bytes = _header_length(file.map[:8])
    if n_bytes > MAX_HEADER_BYTES:
        _fail(file, f"its header claims {n_bytes:,} bytes, over the limit of {MAX_HEADER_BYTES:,}")
    if n_bytes > file.size - 8:
        _fail(file, f"its header claims {n_bytes:,} bytes, but the file has {file.size:,}")
    if file.map[8:9] != b"{":
        _fail(file, "its header does not begin with a brace")
    _check_item_count(file, n_bytes)
    header = strict_json.parse_object(file.map[8 : 8 + n_bytes], f"{file.path}: its header")
    return header, 8 + n_bytes


def _check_item_count(file: MappedFile, n_bytes: int) -> None:
    """Count what makes Python objects before parsing makes them.

    Each takes many times the size of its text, so that a header of nothing
    else would take gigabytes.  An entry has one brace, two brackets and at most
    eight commas.
    """
    limits = {b"{": MAX_TENSORS + 2, b"[": 2 * MAX_TENSORS, b",": 8 * MAX_TENSORS}
    found = dict.fromkeys(limits, 0)
    for start in range(8, 8 + n_bytes, PIECE_BYTES):
        piece = file.map[start : min(start + PIECE_BYTES, 8 + n_bytes)]
        for mark, limit in limits.items():
            found[mark] += piece.count(mark)
            if found[mark] > limit:
                _fail(file, f"its header holds more than {MAX_TENSORS:,} tensors")


def _checked_entry(file: MappedFile, name: str, entry: object) -> _Entry:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
        _fail(file, f"the entry of tensor {name!r} is not dtype, shape and data_offsets")
    shape = _checked_shape(file, name, entry["shape"])
    block = _checked_type(file, name, entry["dtype"])
    start, stop = _checked_offsets(file, name, entry["data_offsets"])
    if stop - start != block.nbytes(prod(shape)):
        _fail(
            file,
            f"tensor {name!r} of shape {shape} takes {block.nbytes(prod(shape)):,} bytes as "
            f"{block.name}, but its offsets span {stop - start:,}",
        )
    return _Entry(name, block, shape, start, stop)


def _checked_type(file: MappedFile, name: str, dtype: object) -> blocks.BlockType:
    if not isinstance(dtype, str):
        _fail(file, f"the dtype of tensor {name!r} is not text")
    if dtype not in _TYPES:
        raise UnsupportedTypeError(name, dtype[:32], _TYPE_NAMES)
    return _TYPES[dtype]


def _checked_shape(file: MappedFile, name: str, shape: object) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        _fail(file, f"the shape of tensor {name!r} is not a list of up to {MAX_DIMENSIONS} sides")
    for side in shape:
        if type(side) is not int or not 1 <= side <= MAX_SIDE:
            _fail(file, f"tensor {name!r} has a side that is not a whole number above zero")
    return tuple(shape)


def _checked_offsets(file: MappedFile, name: str, offsets: object) -> tuple[int, int]:
    if not isinstance(offsets, list) or len(offsets) != 2:
        _fail(file, f"the data_offsets of tensor {name!r} are not two numbers")
    start, stop = offsets
    if type(start) is not int or type(stop) is not int or not 0 <= start <= stop <= file.size:
        _fail(file, f"the data_offsets of tensor {name!r} do not lie inside the file")
    return start, stop


def _check_layout(file: MappedFile, entries: list[_Entry], data_bytes: int) -> None:
    """The tensors fill the data to the last byte: no hole, no overlap, nothing behind."""
    expected = 0
    for entry in sorted(entries, key=lambda entry: entry.start):
        if entry.start != expected:
            fault = "leaves a hole before it" if entry.start > expected else "overlaps another"
            _fail(file, f"tensor {entry.name!r} {fault}")
        expected = entry.stop
    if expected > data_bytes:
        _fail(file, f"its tensors end at byte {expected:,} of data, but {data_bytes:,} are there")
    if expected < data_bytes:
        _fail(file, f"{data_bytes - expected:,} bytes lie behind its last tensor")


def _view(file: MappedFile, entry: _Entry, data_start: int) -> Tensor:
    data = file.span(data_start + entry.start, data_start + entry.stop)
    return Tensor(entry.name, entry.type, entry.shape, data)
