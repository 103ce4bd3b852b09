"""Safetensors made to hurt: each is refused by name, at once and without memory."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from puna.errors import MalformedFileError, ModelFileError, UnsupportedTypeError
from puna.formats.mapping import MappedFile
from puna.formats.safetensors import read_safetensors
from tests.hostile.limits import assert_cheap

ENTRY: dict[str, Any] = {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}
SECOND: dict[str, Any] = {**ENTRY, "data_offsets": [32, 64]}
BODY = b"\0" * 32


def raw(header: object, body: bytes = BODY, length: int | None = None) -> bytes:
    """A file around any header: an object to be written as JSON, or bytes as they are."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(**changes: object) -> bytes:
    return raw({"w": {**ENTRY, **changes}})


def layout(*spans: tuple[int, int], data_bytes: int) -> bytes:
    """Tensors of bytes at these places, in a body of this size."""
    entries = {
        f"w{number}": {
            "dtype": "F16",
            "shape": [(stop - start) // 2],
            "data_offsets": [start, stop],
        }
        for number, (start, stop) in enumerate(spans)
    }
    return raw(entries, b"\0" * data_bytes)


CASES = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "a header of 0 bytes": raw(b""),
    "a header of 2^64 - 1 bytes": raw({"w": ENTRY}, length=2**64 - 1),
    "a header of 2^63 bytes": raw({"w": ENTRY}, length=2**63),
    "a header over 100 MB": raw({"w": ENTRY}, length=100_000_001),
    "a header longer than the file": raw({"w": ENTRY}, length=1000),
    "a header one byte too short": raw({"w": ENTRY}, length=len(json.dumps({"w": ENTRY})) - 1),
    "a header that is no object": raw([ENTRY]),
    "a header that begins with a space": raw(b" " + json.dumps({"w": ENTRY}).encode()),
    "a header that is not UTF-8": raw(b'{"\xff": 1}'),
    "a name twice": raw(b'{"w": %b, "w": %b}' % ((json.dumps(ENTRY).encode(),) * 2)),
    "a field twice": raw(
        b'{"w": {"dtype": "F32", "dtype": "F16", "shape": [8], "data_offsets": [0, 32]}}'
    ),
    "NaN": raw(b'{"w": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 32]}}'),
    "infinity": raw(b'{"w": {"dtype": "F32", "shape": [Infinity], "data_offsets": [0, 32]}}'),
    "a number of 10,000 digits": raw(
        b'{"w": {"dtype": "F32", "shape": [%b], "data_offsets": [0, 32]}}' % (b"9" * 10_000)
    ),
    "lists nested 100,000 deep": raw(b'{"w": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "objects nested 60,000 deep": raw(b'{"w": ' * 60_000 + b"1" + b"}" * 60_000),
    "100,000 tensors": raw({f"w{number}": ENTRY for number in range(100_000)}),
    "a million lists": raw(b'{"w": [' + b"[]," * 1_000_000 + b"[]]}"),
    "an entry that is a number": raw({"w": 7}),
    "an entry without shape": raw({"w": {"dtype": "F32", "data_offsets": [0, 32]}}),
    "an entry with more than it should have": entry(stride=[4, 1]),
    "a dtype that is a number": entry(dtype=7),
    "a shape that is a number": entry(shape=8),
    "a shape of text": entry(shape=["2", "4"]),
    "a shape of truths": entry(shape=[True, 8]),
    "a shape of fractions": entry(shape=[2.0, 4.0]),
    "a negative side": entry(shape=[-2, -4]),
    "a side of zero": entry(shape=[0, 8], data_offsets=[0, 0]),
    "sides that multiply to 2^64 + 8": entry(shape=[2**32, 2**32]),
    "sides that overflow": entry(shape=[2**48, 2**48, 2**48, 2**48]),
    "a side of 2^64": entry(shape=[2**64]),
    "five dimensions": entry(shape=[1, 1, 1, 2, 4]),
    "100,000 dimensions": entry(shape=[1] * 100_000),
    "a shape smaller than its bytes": entry(shape=[7]),
    "a shape larger than its bytes": entry(shape=[9]),
    "one offset": entry(data_offsets=[0]),
    "offsets of text": entry(data_offsets=["0", "32"]),
    "offsets in the wrong order": entry(data_offsets=[32, 0]),
    "a negative offset": entry(data_offsets=[-32, 0]),
    "offsets of 2^63": entry(data_offsets=[2**63, 2**63 + 32]),
    "data one byte short": raw({"w": ENTRY}, BODY[:-1]),
    "no data": raw({"w": ENTRY}, b""),
    "a byte behind the last tensor": raw({"w": ENTRY}, BODY + b"\0"),
    "a ZIP archive behind the last tensor": raw({"w": ENTRY}, BODY + b"PK\5\6" + b"\0" * 18),
    "a hole at the start": layout((4, 16), data_bytes=16),
    "a hole in the middle": layout((0, 8), (12, 16), data_bytes=16),
    "an overlap": layout((0, 12), (8, 16), data_bytes=16),
    "a tensor inside another": layout((0, 16), (4, 8), data_bytes=16),
    "the same place twice": layout((0, 16), (0, 16), data_bytes=16),
}
UNSUPPORTED = ["F64", "I64", "U8", "BOOL", "F8_E4M3", "F4", "none such", "\ud800"]


def assert_refused(content: bytes, path: Path, error: type[ModelFileError]) -> None:
    path.write_bytes(content)

    def attempt() -> None:
        with pytest.raises(error):
            read_safetensors(MappedFile(path))

    assert_cheap(attempt)


def test_the_file_that_the_cases_are_made_from_is_sound(tmp_path: Path) -> None:
    for sound in (raw({"w": ENTRY}), raw({"b": SECOND, "a": ENTRY}, BODY * 2), raw({}, b"")):
        (tmp_path / "a.safetensors").write_bytes(sound)
        read_safetensors(MappedFile(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_refused(case: str, tmp_path: Path) -> None:
    assert_refused(CASES[case], tmp_path / "a.safetensors", MalformedFileError)


@pytest.mark.parametrize("dtype", UNSUPPORTED)
def test_a_type_that_is_not_run_is_refused(dtype: str, tmp_path: Path) -> None:
    assert_refused(entry(dtype=dtype), tmp_path / "a.safetensors", UnsupportedTypeError)


@pytest.mark.parametrize("filler", [b"[],", b"{},", b"1,", b'"",', b'"a": "b",'])
def test_a_header_of_many_megabytes_of_nothing_is_refused(filler: bytes, tmp_path: Path) -> None:
    """It would take gigabytes to parse."""
    content = raw(b'{"w": [' + filler * (30_000_000 // len(filler)) + b"1]}")
    assert_refused(content, tmp_path / "a.safetensors", MalformedFileError)


def test_as_many_tensors_as_one_file_may_hold_are_read(tmp_path: Path) -> None:
    spans = [(4 * number, 4 * number + 4) for number in range(1 << 14)]
    (tmp_path / "a.safetensors").write_bytes(layout(*spans, data_bytes=4 << 14))
    assert len(read_safetensors(MappedFile(tmp_path / "a.safetensors"))) == 1 << 14


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = raw({"w": ENTRY})
    for size in range(len(whole)):
        (tmp_path / "a.safetensors").write_bytes(whole[:size])
        with pytest.raises(MalformedFileError):
            read_safetensors(MappedFile(tmp_path / "a.safetensors"))
