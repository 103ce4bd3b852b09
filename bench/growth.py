"""How decode time grows with the context and with the batch, beside llama.cpp's.

    python -m bench.growth MODEL.gguf --peer PYTHON [--repeat 3] [--threads 2] [--isa avx2]

PYTHON is an interpreter that has llama-cpp-python.  Prints both tables, writes them with a
chart into bench/results; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from bench.against import DISAGREE, RESULTS, agreement, arguments, facts, sides, work_for
from bench.compare import Row, compare
from bench.lines import Panel, draw
from bench.picture import write_pictures
from bench.work import Work

CONTEXTS = (128, 256, 512, 1024, 2048, 4096, 8192)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
NEW = 32  # tokens; a context is what stands in the cache at their end


@dataclass(frozen=True)
class Point:
    """Milliseconds of one decode step."""

    at: int
    puna_ms: float
    peer_ms: float
    ratio: float
    peer_setting: str


def main() -> None:
    """Measure, print, and write bench/results."""
    asked = arguments("python -m bench.growth")
    puna, *peers = sides(asked)
    report: dict[str, Any] = facts(asked)
    report |= agreement(asked.model, puna, peers[0], work_for(asked.model)[1])
    for axis, works in AXES.items():
        if asked.only in axis:
            points = [
                point(at, work, compare(work, puna, peers[:4], asked.repeat))
                for at, work in works.items()
            ]
            report[axis] = [vars(one) for one in points]
            print(table(axis, points), flush=True)
    for side in (puna, *peers):
        side.close()
    write(asked, report)


def works_by_context() -> dict[int, Work]:
    return {c: Work(f"context {c}", 1, c - NEW - 1, NEW) for c in CONTEXTS}


def works_by_batch() -> dict[int, Work]:
    return {b: Work(f"batch {b}", b, 32, NEW) for b in BATCHES}


AXES = {"context": works_by_context(), "batch": works_by_batch()}


def point(at: int, work: Work, rows: Iterable[Row]) -> Point:
    """Turn tokens a second into the time of a step, which makes one token a sequence."""
    (row,) = rows
    ours, theirs = (1000 * work.sequences / speed for speed in (row.puna, row.peer))
    return Point(at, ours, theirs, row.ratio, row.peer_setting)


def table(axis: str, points: Iterable[Point]) -> str:
    """Write Markdown."""
    head = [f"| {axis} | ratio | Puna, ms a step | llama.cpp, ms a step |", "|---:|---:|---:|---:|"]
    rows = (f"| {p.at:,} | {p.ratio:.1f} x | {p.puna_ms:.2f} | {p.peer_ms:.2f} |" for p in points)
    return "\n".join(chain(head, rows))


def write(asked: argparse.Namespace, report: dict[str, Any]) -> None:
    """Keep the figures and their chart, if all were measured and of use."""
    if not asked.only and report.get("perplexities") != DISAGREE:
        RESULTS.mkdir(exist_ok=True)
        stem = RESULTS / f"growth-{report['model']}-{report['isa']}"
        Path(f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n")
        panels = [
            Panel("context, 1 sequence", report["context"]),
            Panel("sequences, 64 tokens each", report["batch"]),
        ]
        where = f"{report['model']}, {report['threads']} threads, {report['isa']}"
        title = f"{where}: milliseconds of a decode step"
        write_pictures(stem, draw(title, panels))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
