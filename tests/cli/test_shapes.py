"""The shapes are the published ones, and the table in the docs is the computed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.cli.shapes import SHAPES, find_quant, find_shape, memory_table
from puna.errors import SettingError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # from the model cards' safetensors metadata
        ("1B", 1_235_814_400),
        ("3B", 3_212_749_824),
        ("8B", 8_030_261_248),
        ("70B", 70_553_706_496),
        ("405B", 405_853_388_800),
    ],
)
def test_parameters_are_the_published_count(name: str, parameters: int) -> None:
    assert SHAPES[name].parameters == parameters


def test_q4_k_m_of_8b_is_as_large_as_llama_cpp_makes_it() -> None:
    shape = find_shape("8b")
    assert shape.weight_bytes("Q4_K_M") / 1e9 == pytest.approx(4.92, abs=0.015)
    types = [shape.block_type("Q4_K_M", name).name for name, _ in shape.tensors()]
    assert types.count("Q6_K") == 2 * 16 + 1  # attn_v and ffn_down of half the layers, output


def test_q4_k_m_of_70b_keeps_attn_v_above_four_bits() -> None:
    shape = find_shape("70b")
    names = [f"blk.{layer}.attn_v.weight" for layer in range(80)]
    assert {shape.block_type("Q4_K_M", name).name for name in names} == {"Q5_K", "Q6_K"}


def test_a_token_of_8b_takes_128_kib_of_cache() -> None:
    assert find_shape("8B").kv_bytes(1) == 128 * 1024


def test_the_table_in_the_docs_is_computed() -> None:
    assert memory_table() in (DOCS / "models.md").read_text()


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(SettingError, match="8B, 70B, 405B"):
        find_shape("9b")
    with pytest.raises(SettingError, match="Q4_K_M"):
        find_quant("q4_k_x")
