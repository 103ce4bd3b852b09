"""A comparison as a chart: a pair of bars for each kind of work, and its ratio."""

from __future__ import annotations

from typing import Any

from bench.shapes import INK, PALE, PEER, PUNA, bar, document, rule, text

WIDTH, LEFT, RIGHT, ROW, TOP, FOOT = 860, 270, 76, 46, 76, 40
ROOM = WIDTH - LEFT - RIGHT - 70  # of the longest bar; its figure stands behind it


def draw(report: dict[str, Any]) -> str:
    """Draw llama.cpp's rows of `bench.against`'s report; the longer bar of each fills the room."""
    rows = [row for row in report["rows"] if row["peer_engine"] == "llama.cpp"]
    bottom = TOP + ROW * len(rows)
    parts = [
        text(
            20,
            32,
            f"{report['model']}, {report['threads']} threads, {report['isa']}",
            bold=True,
            size=16,
        ),
        bar(20, 46, 12, 12, PUNA),
        text(38, 57, "Puna", INK),
        bar(86, 46, 12, 12, PEER),
        text(104, 57, "llama.cpp at its best setting", PALE),
        text(
            WIDTH - 20,
            57,
            "tokens a second, or seconds where it says s",
            PALE,
            anchor="end",
            size=12,
        ),
    ]
    for index, row in enumerate(rows):
        parts += _row(TOP + ROW * index, row)
    foot = (
        f"medians of {report['repeat']} rounds in alternation; "
        f"at best, this machine reads {report['ceiling_gb_s']} GB/s"
    )
    return document(WIDTH, bottom + FOOT, [*parts, text(20, bottom + 24, foot, PALE, size=12)])


def _row(y: float, row: dict[str, Any]) -> list[str]:
    longest = max(row["puna"], row["peer"])
    parts = [rule(20, y, WIDTH - 20, y), text(20, y + 28, row["work"])]
    for offset, side, colour in ((8, "puna", PUNA), (24, "peer", PEER)):
        length = ROOM * row[side] / longest
        parts.append(bar(LEFT, y + offset, length, 14, colour))
        parts.append(
            text(LEFT + length + 6, y + offset + 11, _figure(row[side], row["unit"]), PALE, size=12)
        )
    return [
        *parts,
        text(WIDTH - 20, y + 29, f"{row['ratio']:.1f} x", bold=True, size=16, anchor="end"),
    ]


def _figure(value: float, unit: str) -> str:
    shown = f"{value:,.0f}" if value >= 20 else f"{value:.1f}"
    return f"{shown} s" if unit == "s" else shown
