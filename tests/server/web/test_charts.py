"""The scale beside the bars of a chart, which count something."""

from __future__ import annotations

import re

import pytest

from puna.server.web.charts import Bar, bars, round_top


@pytest.mark.parametrize("most", [*range(60), 99, 100, 101, 999, 4_001, 12_345, 9_999_999])
def test_the_scale_has_whole_numbers_and_room_for_every_bar(most: int) -> None:
    top = round_top(most)
    assert most <= top <= max(2.5 * most, 2)
    assert (top / 2).is_integer()
    drawn = bars([Bar("1 May", most)], "Requests")
    scale = re.findall(r'text-anchor="end">([^<]+)<', drawn)
    assert len(scale) == 3
    if most <= 800:  # above, the scale says k
        assert all(number.isdigit() for number in scale), scale
