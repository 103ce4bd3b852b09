"""Numbers in, an SVG drawing out; its colours are the style sheet's.

Knows no database and no page: bars by day, in one or two layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

from markupsafe import Markup

WIDTH, HEIGHT = 720, 190
LEFT, BOTTOM = 64, 24  # room for the numbers and the days


@dataclass(frozen=True)
class Bar:
    """One day: what lies below, and what is stacked above it."""

    label: str
    lower: float
    upper: float = 0.0


def round_top(value: float) -> float:
    """The next even number with one digit that is not 0: half of it is whole, as counts are."""
    if value <= 2:
        return 2.0
    power: float = 10.0 ** (ceil(log10(value)) - 1)
    return next(step * power for step in (2, 4, 6, 8, 10) if step * power >= value)


def bars(days: Sequence[Bar], title: str) -> Markup:
    """Draw the days side by side; `title` is what a screen reader says."""
    top = round_top(max((day.lower + day.upper for day in days), default=0))
    parts = [
        *_grid(top),
        *(shape for n, day in enumerate(days) for shape in _day(n, day, days, top)),
    ]
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, title, Markup("").join(parts))


def short(value: float) -> str:
    """1234567 as 1.2 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _y(value: float, top: float) -> float:
    return round(10 + (HEIGHT - BOTTOM - 10) * (1 - value / top), 2)


def _grid(top: float) -> list[Markup]:
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    number = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>')
    heights = ((part * top / 2, _y(part * top / 2, top)) for part in range(3))
    return [
        line.format(LEFT, WIDTH, y, y) + number.format(LEFT - 8, y + 4, short(value))
        for value, y in heights
    ]


def _day(n: int, day: Bar, days: Sequence[Bar], top: float) -> list[Markup]:
    room = (WIDTH - LEFT) / len(days)
    x, width = round(LEFT + n * room + room * 0.15, 1), round(room * 0.7, 1)
    zero, middle, stacked = (_y(v, top) for v in (0, day.lower, day.lower + day.upper))
    box = Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}: {}</title></rect>'
    )
    said = (day.label, short(day.lower + day.upper))
    shapes = [box.format("one", x, middle, width, round(zero - middle, 2), *said)]
    if day.upper:
        shapes.append(box.format("two", x, stacked, width, round(middle - stacked, 2), *said))
    if n % ceil(len(days) / 8) == 0:
        text = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
        shapes.append(text.format(round(x + width / 2, 1), HEIGHT - 6, day.label))
    return shapes
