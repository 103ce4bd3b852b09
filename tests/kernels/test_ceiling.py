"""The machine's ceiling is measured, per instruction set."""

from __future__ import annotations

import pytest

from puna.errors import SettingError
from puna.kernels.native import measure_ceiling


def test_it_reads_and_multiplies_faster_than_nothing_and_slower_than_light() -> None:
    read_bytes_s, multiplications_s = measure_ceiling(1)
    assert 1e8 < read_bytes_s < 1e13
    assert 1e8 < multiplications_s < 1e15


def test_the_portable_path_multiplies_slower_than_the_best() -> None:
    _, portable = measure_ceiling(1, "scalar")
    _, best = measure_ceiling(1)
    assert portable <= best * 1.5  # equal where nothing better runs here


def test_an_unknown_instruction_set_is_named() -> None:
    with pytest.raises(SettingError, match="abacus"):
        measure_ceiling(1, "abacus")
