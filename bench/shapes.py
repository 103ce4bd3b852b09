"""The few SVG shapes that the bench's charts are drawn with, and their colours."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

PUNA, PEER, INK, PALE, RULE = "#b5651d", "#9aa5b1", "#1f2933", "#52606d", "#e4e7eb"


def document(width: int, height: int, parts: Iterable[str]) -> str:
    """Put shapes on a white ground."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Inter, system-ui, sans-serif">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(
    x: float,
    y: float,
    words: str,
    colour: str = INK,
    *,
    anchor: str = "start",
    bold: bool = False,
    size: int = 13,
) -> str:
    """Write words, their baseline at y."""
    weight = "600" if bold else "400"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-weight="{weight}" font-size="{size}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Draw a bar from x on."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" '
        f'rx="2" fill="{colour}"/>'
    )


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draw a thin line of a grid."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{RULE}"/>'


def curve(points: list[tuple[float, float]], colour: str) -> str:
    """Join points by a line, each marked."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points
    )
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>{dots}'
