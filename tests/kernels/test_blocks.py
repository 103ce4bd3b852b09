"""Block types mean what ggml means by them, bit for bit, and values survive quantising."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from puna.formats.blocks import by_name
from puna.kernels.blocks import LAYOUTS, dequantise, quantise

QUANTISED = [name for name, layout in LAYOUTS.items() if layout.block_values > 1]

# The largest error of a value, as a share of its block's largest magnitude: half a step (a whole
# one at the end that a signed range lacks), and what rounding the K-quants' own scales adds.
TOLERANCE = {
    "F32": 0.0,
    "F16": 2**-11,
    "BF16": 2**-8,
    "Q8_0": 0.6 / 127,
    "Q4_0": 1.05 / 8,
    "Q4_1": 0.51 * 2 / 15,
    "Q5_0": 1.05 / 16,
    "Q5_1": 0.51 * 2 / 31,
    "Q2_K": 0.51 * 2 / 3 + 0.15,
    "Q3_K": 1.05 / 4,
    "Q4_K": 0.51 * 2 / 15 + 0.03,
    "Q5_K": 0.51 * 2 / 31 + 0.03,
    "Q6_K": 1.2 / 32,
}


def ggml_values(data: NDArray[np.uint8], type_name: str) -> NDArray[np.float32]:
    values = gguf.dequantize(data, gguf.GGMLQuantizationType[type_name])
    return np.asarray(values, dtype=np.float32).reshape(-1)


def random_blocks(type_name: str, count: int, seed: int) -> NDArray[np.uint8]:
    """Random bytes, with finite scales of either sign."""
    rng = np.random.default_rng(seed)
    layout = LAYOUTS[type_name]
    data = rng.integers(0, 256, count * layout.block_bytes, dtype=np.uint8)
    blocks = data.view(layout.fields)
    for field in {"d", "m", "dmin"} & set(layout.fields.names or ()):
        blocks[field] = rng.normal(0, 0.1, count)
    return data


@pytest.mark.parametrize("type_name", QUANTISED)
def test_random_bytes_mean_what_ggml_says(type_name: str) -> None:
    data = random_blocks(type_name, 500, seed=1)
    ours = dequantise(data, type_name, 500 * LAYOUTS[type_name].block_values)
    assert ours.tobytes() == ggml_values(data, type_name).tobytes()


@pytest.mark.parametrize("type_name", LAYOUTS)
def test_quantised_values_mean_what_ggml_says(type_name: str) -> None:
    values = np.random.default_rng(2).normal(0, 0.02, 64 * 256).astype(np.float32)
    data = quantise(values, type_name)
    assert (
        dequantise(data, type_name, values.size).tobytes() == ggml_values(data, type_name).tobytes()
    )


@pytest.mark.parametrize("type_name", LAYOUTS)
@pytest.mark.parametrize("offset", [0.0, 0.5, -3.0])
def test_values_survive_quantising(type_name: str, offset: float) -> None:
    values = np.random.default_rng(3).uniform(-1, 1, (200, 256)).astype(np.float32) + np.float32(
        offset
    )
    again = dequantise(quantise(values, type_name), type_name, values.size).reshape(values.shape)
    blocks = values.reshape(-1, min(256, max(32, LAYOUTS[type_name].block_values)))
    errors = np.abs(again - values).reshape(blocks.shape).max(axis=1)
    assert (errors <= TOLERANCE[type_name] * np.abs(blocks).max(axis=1)).all()


@pytest.mark.parametrize("type_name", LAYOUTS)
@pytest.mark.parametrize("value", [0.0, 1e-9, 1e6])
def test_constant_tiny_and_huge_blocks_stay_finite(type_name: str, value: float) -> None:
    values = np.full(512, value, np.float32)
    again = dequantise(quantise(values, type_name), type_name, 512)
    if type_name != "F16":  # which cannot hold a million
        assert np.isfinite(again).all()
    if value == 0:
        assert not again.any()


def test_a_half_that_is_too_large_is_infinite() -> None:
    million = np.full(1, 1e6, np.float32)
    assert np.isinf(dequantise(quantise(million, "F16"), "F16", 1)).all()


@pytest.mark.parametrize("type_name", LAYOUTS)
def test_files_and_kernels_agree_on_block_sizes(type_name: str) -> None:
    in_file, here = by_name(type_name), LAYOUTS[type_name]
    assert (in_file.block_values, in_file.block_bytes) == (here.block_values, here.block_bytes)
