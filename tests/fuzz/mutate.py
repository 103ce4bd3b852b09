"""Spoils a sound file in one to three places, knowing where its fields are.

In: a seed's bytes and a random generator.  Out: bytes that are nearly a model.
Does not know what a reader will make of them.

A file is a list of fields; spoiling one may change its length, in which case
what follows moves, as it would in a file written by a faulty program.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from puna.formats.gguf_values import NUMBER_DTYPES, ValueType

ALIGNMENT = 32
EDGES = (0, 1, 2, 7, 8, 31, 32, 33, 63, 64, 255, 256, 2**15, 2**16 - 1, 2**24)
LARGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**42 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 64)
UINT32, UINT64 = "<I", "<Q"
DEEP = "(lists in lists)"  # stands for what json.dumps itself would not write


@dataclass(frozen=True)
class Field:
    """`form` is a struct format for a number, "" for bytes, "pad" for what is recomputed."""

    raw: bytes
    form: str = ""


@dataclass(frozen=True)
class GGUFSeed:
    """A sound GGUF file, taken apart."""

    fields: tuple[Field, ...]

    @classmethod
    def parse(cls, content: bytes) -> GGUFSeed:
        """`content` must be sound: this reader checks nothing."""
        return cls(tuple(_Parser(content).file()))

    def mutant(self, random: Random) -> bytes:
        """The same file, spoilt."""
        fields = list(self.fields)
        # Numbers that no quantiser writes, in a file that is mostly sound.
        deep = random.random() < 0.3
        for _ in range(random.choice((0, 0, 1)) if deep else random.randint(1, 3)):
            _spoil(fields, random)
        if deep:
            fields[-1:] = _flip(fields[-1], fields, random)
        return _cut(_join(fields, random), random)


class _Parser:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0
        self.fields: list[Field] = []

    def file(self) -> list[Field]:
        self.bytes(4)
        self.number(UINT32)
        n_tensors, n_key_values = self.number(UINT64), self.number(UINT64)
        for _ in range(n_key_values):
            self.string()
            self.value(self.number(UINT32))
        for _ in range(n_tensors):
            self.tensor_info()
        self.fields.append(Field(b"", "pad"))
        self.position += -self.position % ALIGNMENT
        self.bytes(len(self.content) - self.position)
        return self.fields

    def bytes(self, count: int) -> None:
        self.fields.append(Field(self.content[self.position : self.position + count]))
        self.position += count

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        raw = self.content[self.position : self.position + size]
        self.fields.append(Field(raw, form))
        self.position += size
        return int(struct.unpack(form, raw)[0])

    def string(self) -> None:
        self.bytes(self.number(UINT64))

    def value(self, kind: int) -> None:
        if kind == ValueType.STRING:
            self.string()
        elif kind == ValueType.ARRAY:
            self.array(self.number(UINT32), self.number(UINT64))
        else:
            self.bytes(_item_bytes(kind))

    def array(self, item: int, count: int) -> None:
        if item != ValueType.STRING:
            self.bytes(count * _item_bytes(item))
            return
        for _ in range(count):
            self.string()

    def tensor_info(self) -> None:
        self.string()
        for _ in range(self.number(UINT32)):
            self.number(UINT64)
        self.number(UINT32)
        self.number(UINT64)


def _item_bytes(kind: int) -> int:
    return 1 if kind == ValueType.BOOL else NUMBER_DTYPES[kind].itemsize


def _spoil(fields: list[Field], random: Random) -> None:
    place = random.randrange(len(fields))
    field = fields[place]
    if field.form == "pad":
        return
    if field.form and field.raw and random.random() < 0.8:
        fields[place] = replace(field, raw=_other_number(field, random))
        return
    action = random.choice(_ACTIONS)
    fields[place : place + 1] = action(field, fields, random)


def _other_number(field: Field, random: Random) -> bytes:
    size = len(field.raw)
    old = int.from_bytes(field.raw, "little")
    near = (old - 1, old + 1, old * 2, old // 2, old ^ (1 << random.randrange(8 * size)))
    new: int = random.choice((*near, *random.choice((EDGES, LARGE)), random.getrandbits(8 * size)))
    return (new % (1 << 8 * size)).to_bytes(size, "little")


def _flip(field: Field, fields: Sequence[Field], random: Random) -> list[Field]:
    if not field.raw:
        return [field]
    raw = bytearray(field.raw)
    for _ in range(random.randint(1, 8)):
        raw[random.randrange(len(raw))] = random.choice(
            (0, 0x7F, 0x80, 0xFF, random.randrange(256))
        )
    return [replace(field, raw=bytes(raw))]


def _drop(field: Field, fields: Sequence[Field], random: Random) -> list[Field]:
    return []


def _double(field: Field, fields: Sequence[Field], random: Random) -> list[Field]:
    return [field, field]


def _borrow(field: Field, fields: Sequence[Field], random: Random) -> list[Field]:
    return [replace(random.choice(fields), form="")]


def _resize(field: Field, fields: Sequence[Field], random: Random) -> list[Field]:
    size = random.randint(0, min(2 * len(field.raw), 1 << 16) + 1)
    return [replace(field, raw=(field.raw + bytes(size))[:size])]


_Action = Callable[[Field, Sequence[Field], Random], list[Field]]
_ACTIONS: tuple[_Action, ...] = (_flip, _drop, _double, _borrow, _resize)


def _join(fields: Sequence[Field], random: Random) -> bytes:
    """Padding mostly follows what was moved, so that readers get past it."""
    content = bytearray()
    for field in fields:
        if field.form == "pad":
            content += b"\0" * (-len(content) % ALIGNMENT + (random.random() < 0.05))
        content += field.raw
    return bytes(content)


def _cut(content: bytes, random: Random) -> bytes:
    if random.random() < 0.1:
        return content[: random.randint(0, len(content))]
    return content + b"\0" * random.randint(1, 64) if random.random() < 0.05 else content


@dataclass(frozen=True)
class SafetensorsSeed:
    """A sound safetensors file, taken apart."""

    header: dict[str, Any]
    data: bytes

    @classmethod
    def parse(cls, content: bytes) -> SafetensorsSeed:
        """`content` must be sound: this reader checks nothing."""
        length = int.from_bytes(content[:8], "little")
        return cls(json.loads(content[8 : 8 + length]), content[8 + length :])

    def mutant(self, random: Random) -> bytes:
        """The same file, spoilt in its header's values, its header's text or its length."""
        header = json.loads(json.dumps(self.header))
        for _ in range(random.randint(0, 2)):
            _spoil_entry(header, random)
        written = json.dumps(header, ensure_ascii=random.random() < 0.5)
        text = written.replace(f'"{DEEP}"', "[" * 5000 + "]" * 5000).encode(errors="surrogatepass")
        if random.random() < 0.3:
            text = _flip(Field(text), (), random)[0].raw
        length = Field(struct.pack(UINT64, len(text)))
        raw = _other_number(length, random) if random.random() < 0.1 else length.raw
        return _cut(raw + text + self.data, random)


def _spoil_entry(header: dict[str, Any], random: Random) -> None:
    name = random.choice(list(header))
    entry = header[name]
    key = random.choice(list(entry)) if isinstance(entry, dict) and entry else None
    if key is None or random.random() < 0.1:
        header[random.choice((name, "", "\ud800", "__metadata__"))] = _odd_json(random)
    elif isinstance(entry[key], list) and entry[key] and random.random() < 0.7:
        place = random.randrange(len(entry[key]))
        entry[key][place] = _odd_number(entry[key][place], random)
    elif random.random() < 0.2:
        del entry[key]
    else:
        entry[key] = _odd_json(random)


def _odd_number(old: object, random: Random) -> object:
    near = (old - 1, old + 1, old * 2, -old) if isinstance(old, int) else ()
    return random.choice((*near, *EDGES, *LARGE, 2**200, -1, 1.5, 1e308, True, "1", None))


def _odd_json(random: Random) -> object:
    odd: tuple[object, ...] = ("F32", "F16", "BF16", "F64", "", "\ud800", None, 7, True)
    return random.choice((*odd, [], {}, [0, 0], [4, 256], [[[]]], DEEP))
