"""Safetensors that the official package writes are read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import numpy as official

from puna.errors import UnsupportedTypeError
from puna.formats.mapping import MappedFile
from puna.formats.safetensors import looks_like_safetensors, read_safetensors
from tests.tiny import TinyLlama


def test_what_the_official_package_writes_comes_back(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    weights: dict[str, NDArray[Any]] = {
        "a": random.standard_normal((3, 5), dtype=np.float32),
        "b": random.standard_normal((2, 3, 4)).astype(np.float16),
        "scalar": np.array(2.5, dtype=np.float32),
    }
    official.save_file(weights, tmp_path / "a.safetensors", metadata={"format": "np"})
    tensors = read_safetensors(MappedFile(tmp_path / "a.safetensors"))
    assert tensors.keys() == weights.keys()
    for name, weight in weights.items():
        assert tensors[name].shape == weight.shape
        assert tensors[name].data.tobytes() == weight.tobytes()
        assert not tensors[name].data.flags.writeable


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_each_type_is_read(dtype: str, tiny: TinyLlama, tmp_path: Path) -> None:
    folder = tiny.write_safetensors(tmp_path / "model", dtype)
    tensors = read_safetensors(MappedFile(folder / "model.safetensors"))
    assert {tensor.type.name for tensor in tensors.values()} == {dtype}


def test_another_type_is_refused_by_name(tmp_path: Path) -> None:
    official.save_file({"ids": np.zeros(3, np.int64)}, tmp_path / "a.safetensors")
    with pytest.raises(UnsupportedTypeError, match="'ids' is stored as I64"):
        read_safetensors(MappedFile(tmp_path / "a.safetensors"))


def test_its_beginning_is_recognised() -> None:
    assert looks_like_safetensors((100).to_bytes(8, "little") + b'{"a":')
    assert not looks_like_safetensors((1 << 40).to_bytes(8, "little") + b"{")
    assert not looks_like_safetensors(b"GGUF\3\0\0\0\0\0")
    assert not looks_like_safetensors(b"")
