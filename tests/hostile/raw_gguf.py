"""GGUF piece by piece, each piece as wrong as a test wants it.

In: numbers and bytes.  Out: bytes.  Checks nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from puna.formats.gguf_values import ValueType

U64_MAX = 2**64 - 1


@dataclass
class RawGGUF:
    """A counted file with one key-value and two tensors of 64 bytes, unless told otherwise."""

    magic: bytes = b"GGUF"
    version: int = 3
    n_tensors: int | None = None
    n_key_values: int | None = None
    key_values: list[bytes] = field(default_factory=lambda: [text_value("general.architecture")])
    tensors: list[bytes] = field(default_factory=lambda: [tensor("a", 0), tensor("b", 64)])
    alignment: int = 32
    data: bytes = b"\0" * 128

    def __bytes__(self) -> bytes:
        counts = (
            len(self.tensors) if self.n_tensors is None else self.n_tensors,
            len(self.key_values) if self.n_key_values is None else self.n_key_values,
        )
        head = self.magic + struct.pack("<IQQ", self.version, *counts)
        head += b"".join(self.key_values) + b"".join(self.tensors)
        return head + b"\0" * (-len(head) % self.alignment) + self.data


def string(text: bytes | str, length: int | None = None) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw) if length is None else length) + raw


def value(key: bytes | str, kind: int, payload: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + payload


def text_value(key: str, text: str = "llama") -> bytes:
    return value(key, ValueType.STRING, string(text))


def array(key: str, item: int, payload: bytes, count: int) -> bytes:
    return value(key, ValueType.ARRAY, struct.pack("<IQ", item, count) + payload)


def alignment(number: int, kind: int = ValueType.UINT32) -> bytes:
    form = {ValueType.UINT64: "<Q", ValueType.INT32: "<i"}.get(ValueType(kind), "<I")
    return value("general.alignment", kind, struct.pack(form, number))


def tensor(
    name: bytes | str,
    offset: int,
    sides: tuple[int, ...] = (8, 2),
    type_id: int = 0,
    n_dimensions: int | None = None,
) -> bytes:
    """Sides as the file has them: the contiguous one first.  Type 0 is F32."""
    count = len(sides) if n_dimensions is None else n_dimensions
    head = string(name) + struct.pack(f"<I{len(sides)}Q", count, *sides)
    return head + struct.pack("<IQ", type_id, offset)
