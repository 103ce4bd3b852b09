"""GGUF files that the official writer makes are read whole."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from puna.formats import blocks
from puna.formats.gguf import GGUFFile, read_gguf
from puna.formats.gguf_writer import Value, write_gguf
from puna.formats.mapping import MappedFile
from tests.tiny import TinyLlama, quantised


def read(path: Path) -> GGUFFile:
    return read_gguf(MappedFile(path))


@pytest.mark.parametrize("type_name", [block.name for block in blocks.SUPPORTED])
def test_each_block_type_comes_back_byte_for_byte(type_name: str, tmp_path: Path) -> None:
    tiny = TinyLlama.for_k_types(layers=1, intermediate=256)
    tensors = read(tiny.write_gguf(tmp_path / "a.gguf", type_name)).tensors
    assert list(tensors) == list(tiny.gguf_tensors)
    for name, values in tiny.gguf_tensors.items():
        stored_as = type_name if values.ndim == 2 else "F32"
        assert tensors[name].type.name == stored_as
        assert tensors[name].shape == values.shape
        expected = quantised(values, stored_as) if values.ndim == 2 else values
        assert tensors[name].data.tobytes() == expected.tobytes()
        assert not tensors[name].data.flags.writeable


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    kinds = gguf.GGUFValueType
    numbers: dict[str, tuple[Any, gguf.GGUFValueType]] = {
        kind.name: (value, kind)
        for kind, value in [
            (kinds.UINT8, 255),
            (kinds.INT8, -128),
            (kinds.UINT16, 65535),
            (kinds.INT16, -32768),
            (kinds.UINT32, 2**32 - 1),
            (kinds.INT32, -(2**31)),
            (kinds.UINT64, 2**64 - 1),
            (kinds.INT64, -(2**63)),
            (kinds.FLOAT32, 0.5),
            (kinds.FLOAT64, 1e300),
            (kinds.BOOL, True),
            (kinds.STRING, "grüß 🦙"),
        ]
    }
    for key, (value, kind) in numbers.items():
        writer.add_key_value(key, value, kind)
    writer.add_array("ints", [1, -2, 3])
    writer.add_array("floats", [0.5, 1.5])
    writer.add_array("bools", [True, False])
    writer.add_array("texts", ["a", "", "ü"])
    finish(writer)
    metadata = read(tmp_path / "a.gguf").metadata
    for key, (value, _) in numbers.items():
        assert metadata[key] == value
        assert type(metadata[key]) is type(value)
    assert metadata["texts"] == ["a", "", "ü"]
    assert metadata["ints"].tolist() == [1, -2, 3]
    assert metadata["ints"].dtype == np.int32
    assert metadata["floats"].tolist() == [0.5, 1.5]
    assert metadata["bools"].tolist() == [True, False]
    assert metadata["bools"].dtype == np.bool_


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_version_2_is_read_like_version_3(tiny_gguf: Path, tmp_path: Path) -> None:
    """Version 3 only added big-endian files."""
    content = bytearray(tiny_gguf.read_bytes())
    struct.pack_into("<I", content, 4, 2)
    (tmp_path / "v2.gguf").write_bytes(content)
    old, new = read(tmp_path / "v2.gguf"), read(tiny_gguf)
    assert old.metadata.keys() == new.metadata.keys()
    assert old.tensors.keys() == new.tensors.keys()


def test_another_alignment_is_followed(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_custom_alignment(1024)
    weights = [np.full((3, 5), value, np.float32) for value in range(3)]
    for number, weight in enumerate(weights):
        writer.add_tensor(f"w{number}", weight)
    finish(writer)
    tensors = read(tmp_path / "a.gguf").tensors
    for number, weight in enumerate(weights):
        assert tensors[f"w{number}"].data.tobytes() == weight.tobytes()


def test_the_last_tensor_needs_no_padding_behind_it(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_tensor("w", np.ones((1, 3), np.float32))
    finish(writer)
    (tmp_path / "a.gguf").write_bytes((tmp_path / "a.gguf").read_bytes()[:-20])
    assert read(tmp_path / "a.gguf").tensors["w"].data.size == 12


@pytest.mark.parametrize(
    ("tokens", "merges", "limit_s"), [(49_152, 48_900, 0.3), (128_256, 280_147, 1.0)]
)
def test_a_real_vocabulary_opens_in_time(
    tokens: int, merges: int, limit_s: float, tmp_path: Path
) -> None:
    """The sizes of SmolLM2 and Llama 3, in time of the processor: the machine has other work."""
    metadata: dict[str, Value] = {
        "tokenizer.ggml.tokens": [f"Ġtoken{number}" for number in range(tokens)],
        "tokenizer.ggml.token_type": np.ones(tokens, np.int32),
        "tokenizer.ggml.merges": [f"Ġto ken{number}" for number in range(merges)],
    }
    write_gguf(tmp_path / "a.gguf", metadata, [])
    assert min(seconds_to_read(tmp_path / "a.gguf") for _ in range(3)) < limit_s


def seconds_to_read(path: Path) -> float:
    begin = time.process_time()
    read(path)
    return time.process_time() - begin
