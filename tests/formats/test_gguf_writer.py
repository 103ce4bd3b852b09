"""What Puna writes, the official reader and Puna's own read back."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from puna.errors import ModelFileError
from puna.formats import blocks
from puna.formats.gguf import read_gguf
from puna.formats.gguf_writer import TensorSource, Value, write_gguf
from puna.formats.mapping import MappedFile

METADATA: dict[str, Value] = {
    "general.architecture": "llama",
    "small": 7,
    "negative": -7,
    "large": 2**40,
    "very negative": -(2**40),
    "ratio": 0.25,
    "yes": True,
    "sixteen": np.uint16(16),
    "exact": np.float64(0.1),
    "texts": ["a", "ü"],
    "ids": np.array([1, 2], np.int32),
    "flags": np.array([True, False]),
}


def sources() -> list[TensorSource]:
    return [
        TensorSource("a", blocks.F32, (3, 5), lambda: [np.arange(15, dtype="<f4").tobytes()]),
        TensorSource("b", blocks.Q4_0, (2, 64), lambda: [b"\1" * 36, b"\2" * 36]),
    ]


def test_the_official_reader_reads_it(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", METADATA, sources())
    reader = gguf.GGUFReader(tmp_path / "a.gguf")
    for key, value in METADATA.items():
        expected = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        field = reader.get_field(key)
        assert field is not None
        assert field.contents() == expected
    a, b = reader.tensors
    assert np.array_equal(a.data, np.arange(15, dtype=np.float32).reshape(3, 5))
    assert b.tensor_type == gguf.GGMLQuantizationType.Q4_0
    assert b.data.tobytes() == b"\1" * 36 + b"\2" * 36


def test_our_own_reader_reads_it(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", METADATA, sources())
    contents = read_gguf(MappedFile(tmp_path / "a.gguf"))
    assert list(contents.metadata) == list(METADATA)
    assert contents.tensors["a"].shape == (3, 5)
    assert contents.tensors["b"].data.tobytes() == b"\1" * 36 + b"\2" * 36


def test_a_large_tensor_is_never_in_memory(tmp_path: Path) -> None:
    """64 MB in pieces of 1 MB, with less than 8 MB of Python's memory at any time."""
    piece = b"\0" * (1 << 20)
    source = TensorSource("w", blocks.F32, (1 << 12, 1 << 12), lambda: (piece for _ in range(64)))
    tracemalloc.start()
    write_gguf(tmp_path / "a.gguf", {}, [source])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8 << 20
    assert (tmp_path / "a.gguf").stat().st_size > 64 << 20


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"\0" * 32
        raise OSError(28, "No space left on device")

    source = TensorSource("w", blocks.F32, (4, 4), broken)
    with pytest.raises(ModelFileError, match="No space left"):
        write_gguf(tmp_path / "a.gguf", {}, [source])
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_makes_too_little_is_our_own_mistake(tmp_path: Path) -> None:
    source = TensorSource("w", blocks.F32, (4, 4), lambda: [b"\0" * 63])
    with pytest.raises(AssertionError):
        write_gguf(tmp_path / "a.gguf", {}, [source])
