"""Growth as a chart: panels side by side, both axes logarithmic, a curve for each engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log2, log10
from typing import Any

from bench.shapes import INK, PALE, PEER, PUNA, bar, curve, document, rule, text

WIDTH, HEIGHT, TOP, BOTTOM, MARGIN, GAP = 860, 400, 84, 56, 56, 64


@dataclass(frozen=True)
class Panel:
    """`points` hold `at`, `puna_ms` and `peer_ms`."""

    label: str
    points: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class _Frame:
    """Where a panel lies, and which values its edges stand for."""

    left: float
    right: float
    least: float  # powers of ten
    most: float
    first: float  # powers of two
    last: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (log2(x) - self.first) / (self.last - self.first)
        up = (log10(y) - self.least) / (self.most - self.least)
        height = HEIGHT - TOP - BOTTOM
        return self.left + across * (self.right - self.left), HEIGHT - BOTTOM - up * height


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Draw the panels under a title and a legend."""
    parts = [
        text(20, 32, title, bold=True, size=16),
        bar(20, 46, 12, 12, PUNA),
        text(38, 57, "Puna", INK),
        bar(86, 46, 12, 12, PEER),
        text(104, 57, "llama.cpp at its best setting", PALE),
    ]
    width = (WIDTH - MARGIN - 24 - GAP * (len(panels) - 1)) / len(panels)
    for index, panel in enumerate(panels):
        parts += _panel(panel, MARGIN + index * (width + GAP), width)
    return document(WIDTH, HEIGHT, parts)


def _panel(panel: Panel, left: float, width: float) -> list[str]:
    values = [point[key] for point in panel.points for key in ("puna_ms", "peer_ms")]
    places = [point["at"] for point in panel.points]
    frame = _Frame(
        left,
        left + width,
        _down(min(values)),
        _up(max(values)),
        log2(min(places)),
        log2(max(places)),
    )
    parts = _grid(frame, places)
    for key, colour in (("peer_ms", PEER), ("puna_ms", PUNA)):
        parts.append(curve([frame.at(p["at"], p[key]) for p in panel.points], colour))
    middle = left + width / 2
    return [*parts, text(middle, HEIGHT - 14, panel.label, PALE, anchor="middle", size=12)]


def _grid(frame: _Frame, places: Sequence[int]) -> list[str]:
    parts = []
    for value in _ticks(frame):
        x, y = frame.at(places[0], value)
        parts += [
            rule(frame.left, y, frame.right, y),
            text(x - 8, y + 4, f"{value:g}", PALE, anchor="end", size=12),
        ]
    for place in places:
        x, y = frame.at(place, 10**frame.least)
        parts.append(text(x, y + 20, f"{place:,}", PALE, anchor="middle", size=12))
    return parts


STEPS = (1, 2, 5)


def _ticks(frame: _Frame) -> list[float]:
    """1, 2, 5 times powers of ten between the edges."""
    powers = range(floor(frame.least), ceil(frame.most) + 1)
    all_ticks = [step * 10.0**power for power in powers for step in STEPS]
    return [t for t in all_ticks if frame.least - 1e-9 <= log10(t) <= frame.most + 1e-9]


def _down(value: float) -> float:
    """The logarithm of the last tick that is not above a value."""
    power = floor(log10(value))
    return max(log10(step) + power for step in STEPS if step * 10.0**power <= value)


def _up(value: float) -> float:
    power = floor(log10(value))
    return min(log10(step) + power for step in (*STEPS, 10) if step * 10.0**power >= value)
