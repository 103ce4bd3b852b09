"""GGUF files made to hurt: each is refused by name, at once and without memory.

The cases are those of llama.cpp's test-gguf.cpp, and those behind the overflows
that were found in GGUF readers since 2024.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from puna.errors import MalformedFileError, ModelFileError, ModelNotFoundError, UnsupportedTypeError
from puna.formats.checkpoint import open_checkpoint
from puna.formats.gguf_values import ValueType
from tests.hostile.limits import assert_cheap
from tests.hostile.raw_gguf import (
    U64_MAX,
    RawGGUF,
    alignment,
    array,
    string,
    tensor,
    text_value,
    value,
)

I8, F32, Q4_0, IQ4_XS = 24, 0, 2, 23
TOKENS = "tokenizer.ggml.tokens"

HEADERS = {
    "another magic": RawGGUF(magic=b"GGML"),
    "reversed magic": RawGGUF(magic=b"FUGG"),
    "version 0": RawGGUF(version=0),
    "version 1": RawGGUF(version=1),
    "a future version": RawGGUF(version=4),
    "big-endian": RawGGUF(version=3 << 24),
    "too many tensors": RawGGUF(n_tensors=U64_MAX),
    "tensors whose bookkeeping wraps around": RawGGUF(n_tensors=2**64 // 32 + 1),
    "one tensor more than there are": RawGGUF(n_tensors=3, data=b""),
    "too many key-values": RawGGUF(n_key_values=U64_MAX),
    "one key-value more than there are": RawGGUF(n_key_values=2),
    "one key-value less than there are": RawGGUF(n_key_values=0),
}


def with_value(*key_values: bytes) -> RawGGUF:
    return RawGGUF(key_values=list(key_values))


KEY_VALUES = {
    "a key longer than the file": with_value(string("k", 2**40)),
    "a key of 2^63 bytes": with_value(string("k", 2**63)),
    "a key of 2^64 - 1 bytes": with_value(string("k", U64_MAX)),
    "a key that is not UTF-8": with_value(value(b"\xff\xfe", ValueType.UINT8, b"\0")),
    "an unknown type": with_value(value("k", 13, b"\0" * 8)),
    "a type of 2^32 - 1": with_value(value("k", 2**32 - 1, b"\0" * 8)),
    "a text of 2^63 bytes": with_value(value("k", ValueType.STRING, string("t", 2**63))),
    "a text longer than the file": with_value(value("k", ValueType.STRING, string("t", 2**30))),
    "a text over the limit": with_value(value("k", ValueType.STRING, string("t", (64 << 20) + 1))),
    "a text that is not UTF-8": with_value(value("k", ValueType.STRING, string(b"\xc3\x28"))),
    "a bool that is 2": with_value(value("k", ValueType.BOOL, b"\2")),
    "a bool of 2 in an array": with_value(array("k", ValueType.BOOL, b"\0\1\2", 3)),
    "a key twice": with_value(text_value("k"), text_value("k")),
    "an array of 2^63 numbers": with_value(array("k", ValueType.UINT8, b"", 2**63)),
    "an array of 2^63 numbers and then the end": RawGGUF(
        key_values=[array("k", ValueType.UINT8, b"", 2**63)], tensors=[], data=b""
    ),
    "an array of 2^61 numbers of 8 bytes": with_value(array("k", ValueType.UINT64, b"", 2**61)),
    "an array of 2^63 texts": with_value(array("k", ValueType.STRING, b"", 2**63)),
    "an array of more texts than fit": with_value(array("k", ValueType.STRING, b"", 1 << 16)),
    "an array of unknown items": with_value(array("k", 13, b"\0" * 64, 1)),
    "an array of arrays": with_value(array("k", ValueType.ARRAY, b"\0" * 64, 1)),
    "arrays within arrays within arrays": with_value(
        array("k", ValueType.ARRAY, struct.pack("<IQ", ValueType.ARRAY, 1) * 9999, 1)
    ),
    "a long text in an array": with_value(array("k", ValueType.STRING, string("", 2**63), 1)),
    "a text in an array that wraps around": with_value(
        array("k", ValueType.STRING, string("", U64_MAX - 7), 1)
    ),
    "a text in an array that is not UTF-8": with_value(
        array("k", ValueType.STRING, string(b"\xff"), 1)
    ),
    "alignment 0": with_value(alignment(0)),
    "alignment 33": with_value(alignment(33)),
    "alignment as int32": with_value(alignment(32, ValueType.INT32)),
    "alignment as uint64": with_value(alignment(32, ValueType.UINT64)),
    "alignment as text": with_value(text_value("general.alignment", "32")),
    "alignment of 2 GB": with_value(alignment(1 << 31)),
    "a vocabulary of numbers": with_value(array(TOKENS, ValueType.UINT32, b"\0" * 64, 16)),
    "a vocabulary that is one text": with_value(text_value(TOKENS)),
    "merges of bytes": with_value(array("tokenizer.ggml.merges", ValueType.UINT8, b"\0" * 8, 8)),
    "scores of texts": with_value(
        array("tokenizer.ggml.scores", ValueType.STRING, string("a") * 4, 4)
    ),
    "scores of bytes": with_value(array("tokenizer.ggml.scores", ValueType.UINT8, b"\0" * 8, 8)),
    "token types of floats": with_value(
        array("tokenizer.ggml.token_type", ValueType.FLOAT32, b"\0" * 64, 16)
    ),
    "a template that is a number": with_value(
        value("tokenizer.chat_template", ValueType.UINT32, b"\0" * 4)
    ),
}


def with_tensors(*tensors: bytes, data: bytes = b"\0" * 128) -> RawGGUF:
    return RawGGUF(tensors=list(tensors), data=data)


TENSORS = {
    "a name longer than the file": with_tensors(string("a", 2**40)),
    "a name of 64 bytes": with_tensors(tensor("a" * 64, 0)),
    "a name that is not UTF-8": with_tensors(tensor(b"\xff", 0)),
    "a name twice": with_tensors(tensor("a", 0), tensor("a", 64)),
    "no dimension": with_tensors(tensor("a", 0, sides=())),
    "five dimensions": with_tensors(tensor("a", 0, sides=(2, 2, 2, 2, 2))),
    "2^32 - 1 dimensions": with_tensors(tensor("a", 0, n_dimensions=2**32 - 1)),
    "a side of zero": with_tensors(tensor("a", 0, sides=(0,))),
    "a second side of zero": with_tensors(tensor("a", 0, sides=(8, 0))),
    "a negative side": with_tensors(tensor("a", 0, sides=(U64_MAX, 2))),
    "a side of 2^42 + 1": with_tensors(tensor("a", 0, sides=(2**42 + 1,))),
    "sides that multiply to 2^64": with_tensors(tensor("a", 0, sides=(2**32, 2**32))),
    "sides that multiply to 2^256": with_tensors(tensor("a", 0, sides=(U64_MAX,) * 4)),
    "a size in bytes of 2^64": with_tensors(tensor("a", 0, sides=(2**62,))),
    "rows that do not fill blocks": with_tensors(tensor("a", 0, sides=(33, 2), type_id=Q4_0)),
    "two tensors of 2^63 bytes together": with_tensors(
        tensor("a", 0, sides=(2**61 - 16,)), tensor("b", 2**63 - 64, sides=(2**61 - 16,))
    ),
    "an offset of 2^64 - 1": with_tensors(tensor("a", U64_MAX)),
    "an offset that wraps around with the size": with_tensors(tensor("a", 2**64 - 64)),
    "an offset beyond the file": with_tensors(tensor("a", 1 << 20)),
    "an unaligned offset": with_tensors(tensor("a", 0), tensor("b", 65)),
    "an overlap": with_tensors(tensor("a", 0), tensor("b", 32)),
    "the same place twice": with_tensors(tensor("a", 0), tensor("b", 0)),
    "a hole": with_tensors(tensor("a", 0), tensor("b", 96), data=b"\0" * 256),
    "offsets for another alignment": RawGGUF(
        key_values=[alignment(64)], tensors=[tensor("a", 0, (8, 1)), tensor("b", 32, (8, 1))]
    ),
    "data for another alignment": RawGGUF(
        key_values=[alignment(4096)], tensors=[tensor("a", 0)], data=b"\0" * 64
    ),
    "no data": with_tensors(tensor("a", 0), data=b""),
    "one byte short": with_tensors(tensor("a", 0), data=b"\0" * 63),
    "a second tensor that is one byte short": RawGGUF(data=b"\0" * 127),
}
UNSUPPORTED = {
    "two I8 tensors of 2^63 - 64": with_tensors(
        tensor("a", 0, (2**63 - 64,), I8), tensor("b", 2**63 - 64, (2**63 - 64,), I8)
    ),
    "IQ4_XS": with_tensors(tensor("a", 0, (256,), IQ4_XS)),
    "type 4": with_tensors(tensor("a", 0, type_id=4)),
    "type 99": with_tensors(tensor("a", 0, type_id=99)),
    "a negative type": with_tensors(tensor("a", 0, type_id=2**32 - 1)),
}


def assert_refused(content: bytes, path: Path, error: type[ModelFileError]) -> None:
    path.write_bytes(content)

    def attempt() -> None:
        with pytest.raises(error):
            open_checkpoint(path)

    assert_cheap(attempt)


def test_the_file_that_the_cases_are_made_from_is_sound(tmp_path: Path) -> None:
    """Otherwise each case could be refused for another reason than its own."""
    for sound in (RawGGUF(), with_value(alignment(32)), with_tensors(tensor("a" * 63, 0))):
        (tmp_path / "a.gguf").write_bytes(bytes(sound))
        open_checkpoint(tmp_path / "a.gguf").close()
    (tmp_path / "a.gguf").write_bytes(bytes(RawGGUF(key_values=[], tensors=[], data=b"")))
    with open_checkpoint(tmp_path / "a.gguf") as empty:
        assert (len(empty.metadata), len(empty.tensors)) == (0, 0)


@pytest.mark.parametrize("case", HEADERS)
def test_a_bad_header_is_refused(case: str, tmp_path: Path) -> None:
    assert_refused(bytes(HEADERS[case]), tmp_path / "a.gguf", MalformedFileError)


@pytest.mark.parametrize("case", KEY_VALUES)
def test_a_bad_key_value_is_refused(case: str, tmp_path: Path) -> None:
    assert_refused(bytes(KEY_VALUES[case]), tmp_path / "a.gguf", MalformedFileError)


@pytest.mark.parametrize("case", TENSORS)
def test_a_bad_tensor_is_refused(case: str, tmp_path: Path) -> None:
    assert_refused(bytes(TENSORS[case]), tmp_path / "a.gguf", MalformedFileError)


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_a_type_that_is_not_run_is_refused(case: str, tmp_path: Path) -> None:
    assert_refused(bytes(UNSUPPORTED[case]), tmp_path / "a.gguf", UnsupportedTypeError)


def test_big_endian_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(bytes(HEADERS["big-endian"]))
    with pytest.raises(MalformedFileError, match="big-endian"):
        open_checkpoint(tmp_path / "a.gguf")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = bytes(RawGGUF())
    for size in range(len(whole)):
        (tmp_path / "a.gguf").write_bytes(whole[:size])
        with pytest.raises(MalformedFileError):
            open_checkpoint(tmp_path / "a.gguf")


def test_a_name_that_claims_99999_shards_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a-00001-of-99999.gguf"
    path.write_bytes(bytes(RawGGUF()))

    def attempt() -> None:
        with pytest.raises(ModelNotFoundError):
            open_checkpoint(path)

    assert_cheap(attempt)


@pytest.mark.parametrize("kind", [ValueType.STRING, ValueType.FLOAT32, ValueType.BOOL])
def test_a_split_count_of_another_type_is_refused(kind: ValueType, tmp_path: Path) -> None:
    payload = {ValueType.STRING: string("1"), ValueType.BOOL: b"\1"}.get(kind, b"\0\0\0\x40")
    for key in ("split.count", "split.no", "split.tensors.count"):
        raw = RawGGUF(key_values=[value(key, kind, payload)])
        assert_refused(bytes(raw), tmp_path / "a.gguf", MalformedFileError)
