"""The thirteen block types have the sizes that ggml gives them, and others are refused by name."""

from __future__ import annotations

import gguf
import pytest

from puna.errors import SettingError, UnsupportedTypeError
from puna.formats import blocks


def test_sizes_and_numbers_are_those_of_the_gguf_package() -> None:
    for block in blocks.SUPPORTED:
        official = gguf.GGMLQuantizationType[block.name]
        assert block.ggml_id == official
        assert (block.block_values, block.block_bytes) == gguf.GGML_QUANT_SIZES[official]


def test_every_other_type_of_ggml_is_refused_by_its_name() -> None:
    supported = {block.ggml_id for block in blocks.SUPPORTED}
    for official in gguf.GGMLQuantizationType:
        if official not in supported:
            with pytest.raises(UnsupportedTypeError, match=f"'w' is stored as {official.name}"):
                blocks.by_id(official, "w")


def test_a_number_that_ggml_does_not_have_is_refused() -> None:
    with pytest.raises(UnsupportedTypeError, match="type number 4000000000"):
        blocks.by_id(4_000_000_000, "w")


def test_names_are_found_in_either_case_and_wrong_ones_list_the_right_ones() -> None:
    assert blocks.by_name("q4_k") is blocks.Q4_K
    with pytest.raises(SettingError, match="choose one of F32"):
        blocks.by_name("q4_x")


def test_bytes_are_counted_in_whole_blocks() -> None:
    assert blocks.Q6_K.nbytes(512) == 420
    with pytest.raises(AssertionError):
        blocks.Q6_K.nbytes(300)
