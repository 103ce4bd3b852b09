"""A comparison as an SVG chart: a pair of bars for each kind of work, and its ratio."""

from __future__ import annotations

from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, ROW, TOP = 860, 250, 70, 46, 64
PUNA, PEER, INK, PALE = "#b5651d", "#9aa5b1", "#1f2933", "#52606d"


def draw(report: dict[str, Any]) -> str:
    """Draw the rows of `bench.against`'s report; bars are relative to the row's faster side."""
    rows = report["rows"]
    height = TOP + ROW * len(rows) + 16
    title = f"{report['model']}, {report['threads']} threads, {report['isa']}: tokens per second"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 26, title, INK, weight="600", size=15),
        _text(16, 46, "Puna", PUNA, weight="600"),
        _text(58, 46, "llama.cpp at its best setting", PALE),
    ]
    for index, row in enumerate(rows):
        parts += _row(TOP + ROW * index, row)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(y: int, row: dict[str, Any]) -> list[str]:
    room = WIDTH - LEFT - RIGHT - 60
    longest = max(row["puna"], row["peer"])
    parts = [_text(16, y + 24, row["work"], INK)]
    for offset, side, colour in ((6, "puna", PUNA), (22, "peer", PEER)):
        length = room * row[side] / longest
        parts.append(
            f'<rect x="{LEFT}" y="{y + offset}" width="{length:.1f}" height="13" rx="2" '
            f'fill="{colour}"/>'
        )
        parts.append(_text(LEFT + length + 6, y + offset + 11, f"{row[side]:,.0f}", PALE, size=12))
    ratio = _text(WIDTH - 16, y + 26, f"{row['ratio']:.1f} x", INK, weight="600", size=15)
    return [*parts, ratio.replace("<text", '<text text-anchor="end"')]


def _text(
    x: float, y: float, words: str, colour: str, *, weight: str = "400", size: int = 13
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" fill="{colour}" font-weight="{weight}" font-size="{size}">'
        f"{escape(words)}</text>"
    )
