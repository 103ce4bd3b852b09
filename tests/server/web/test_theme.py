"""The colours of day and night, computed: whoever reads can read them."""

from __future__ import annotations

import re

import pytest

from puna.server.web.assets import plain

PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
COLOURS = {name: (day, night) for name, day, night in PAIR.findall(plain("css/theme.css").decode())}
GROUNDS = ("paper", "raised", "sunken", "wash")
TEXT, LARGE = 4.5, 3.0  # WCAG 2.2 AA: text, and what is large or drawn


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", ["ink", "soft", "grass", "rust", "ochre"])
def test_text_stands_out_from_every_ground(text: str, ground: str, night: bool) -> None:
    assert contrast(COLOURS[text][night], COLOURS[ground][night]) >= TEXT


@pytest.mark.parametrize("night", [False, True])
def test_buttons_and_edges_can_be_seen(night: bool) -> None:
    assert contrast(COLOURS["on-grass"][night], COLOURS["grass"][night]) >= TEXT
    for ground in ("paper", "raised"):
        assert contrast(COLOURS["edge"][night], COLOURS[ground][night]) >= LARGE
