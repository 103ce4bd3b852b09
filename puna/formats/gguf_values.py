"""GGUF's key-values.

In: a cursor at the first key.  Out: a dict of plain Python values.  Does not
know what a key is for; it does know which type the specification fixes for the
keys that others read without asking.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from puna.formats.cursor import U32, U64, Cursor

MAX_ARRAY_ITEMS: Final = 16 << 20
MAX_KEY_BYTES: Final = 65535


class ValueType(IntEnum):
    """The number that stands before each value."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


NUMBER_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    kind: np.dtype(kind.name.lower()).newbyteorder("<")
    for kind in ValueType
    if kind not in {ValueType.BOOL, ValueType.STRING, ValueType.ARRAY}
}
NUMBER_FORMS: Final[dict[int, struct.Struct]] = {
    kind: struct.Struct("<" + dtype.char.replace("l", "q").replace("L", "Q"))
    for kind, dtype in NUMBER_DTYPES.items()
}

_FIXED_TYPES: Final = {
    "general.alignment": ValueType.UINT32,
    "general.architecture": ValueType.STRING,
    "split.no": ValueType.UINT16,
    "split.count": ValueType.UINT16,
    "split.tensors.count": ValueType.INT32,
    "tokenizer.ggml.model": ValueType.STRING,
    "tokenizer.ggml.pre": ValueType.STRING,
    "tokenizer.chat_template": ValueType.STRING,
}
_FIXED_ITEM_TYPES: Final = {
    "tokenizer.ggml.tokens": ValueType.STRING,
    "tokenizer.ggml.merges": ValueType.STRING,
    "tokenizer.ggml.scores": ValueType.FLOAT32,
    "tokenizer.ggml.token_type": ValueType.INT32,
}


def read_key_values(cursor: Cursor, count: int) -> dict[str, Any]:
    """`count` pairs: numbers, bools and text as such, arrays of text as list, others as ndarray."""
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.string("a key", MAX_KEY_BYTES)
        if key in metadata:
            cursor.fail(f"key {key!r} appears twice")
        metadata[key] = _read_value(cursor, key)
    return metadata


def _read_value(cursor: Cursor, key: str) -> Any:
    kind = cursor.number(U32, f"the type of {key!r}")
    _check_fixed_type(cursor, key, kind)
    if kind == ValueType.STRING:
        return cursor.string(repr(key))
    if kind == ValueType.ARRAY:
        return _read_array(cursor, key)
    if kind == ValueType.BOOL:
        return bool(_checked_bools(cursor, key, cursor.take(1, repr(key)))[0])
    if kind not in NUMBER_FORMS:
        cursor.fail(f"{key!r} has the unknown value type {kind}")
    return cursor.number(NUMBER_FORMS[kind], repr(key))


def _check_fixed_type(cursor: Cursor, key: str, kind: int) -> None:
    fixed = ValueType.ARRAY if key in _FIXED_ITEM_TYPES else _FIXED_TYPES.get(key, kind)
    if kind != fixed:
        cursor.fail(f"{key!r} must be of type {ValueType(fixed).name.lower()}")


def _read_array(cursor: Cursor, key: str) -> list[str] | NDArray[Any]:
    item = cursor.number(U32, f"the item type of {key!r}")
    fixed = _FIXED_ITEM_TYPES.get(key, item)
    if item != fixed:
        cursor.fail(f"{key!r} must hold items of type {ValueType(fixed).name.lower()}")
    count = cursor.number(U64, f"the length of {key!r}")
    if item == ValueType.ARRAY:
        cursor.fail(f"{key!r} is an array of arrays, which no model needs")
    if item == ValueType.STRING:
        cursor.check_count(count, MAX_ARRAY_ITEMS, 8, f"strings in {key!r}")
        return cursor.strings(count, repr(key))
    return _read_numbers(cursor, key, item, count)


def _read_numbers(cursor: Cursor, key: str, item: int, count: int) -> NDArray[Any]:
    """Numbers or bools, copied out of the map so that they outlive it."""
    if item != ValueType.BOOL and item not in NUMBER_DTYPES:
        cursor.fail(f"{key!r} has the unknown item type {item}")
    dtype = NUMBER_DTYPES.get(item, np.dtype(np.uint8))
    cursor.check_count(count, MAX_ARRAY_ITEMS, dtype.itemsize, f"numbers in {key!r}")
    raw = cursor.take(count * dtype.itemsize, repr(key))
    if item == ValueType.BOOL:
        return _checked_bools(cursor, key, raw)
    return np.frombuffer(raw, dtype=dtype)


def _checked_bools(cursor: Cursor, key: str, raw: bytes) -> NDArray[np.bool_]:
    values = np.frombuffer(raw, dtype=np.uint8)
    if values.size and values.max() > 1:
        cursor.fail(f"{key!r} holds a bool that is neither 0 nor 1")
    return values.astype(np.bool_)
