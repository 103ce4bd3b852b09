"""Puna beside llama.cpp: the same file and work, in alternation, in one run.

    python -m bench.against MODEL.gguf --peer PEER_PYTHON [--repeat 5] [--threads 2]

PEER_PYTHON is an interpreter that has llama-cpp-python, built for this machine.  The
peer runs at the best of its settings.  Writes a table and a chart into
bench/results; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from bench.chart import draw
from bench.work import WORKS, Work
from puna.kernels.native import choose_isa, measure_ceiling

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


class Side:
    """One engine under one setting, in a process of its own."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def seconds(self, work: Work, seed: int) -> float:
        """Have the work done once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"work": asdict(work), "seed": seed}) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline())["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass(frozen=True)
class Row:
    """One kind of work: tokens a second, medians."""

    work: str
    puna: float
    peer: float
    peer_setting: str
    ratio: float  # median over the rounds of Puna's speed over the best peer setting's


def sides(model: Path, peer: str, threads: int) -> tuple[Side, list[Side]]:
    """Start Puna and every setting of the peer."""
    common = [str(model), str(threads)]
    puna = Side("puna", [sys.executable, "-m", "bench.puna_worker", *common])
    peers = [
        Side(
            f"flash attention {on(flash)}, unified KV {on(unified)}",
            [peer, "-m", "bench.llama_cpp_worker", *common, flash, unified, unified],
        )
        for flash, unified in product("10", "10")
    ]
    return puna, peers


def on(switch: str) -> str:
    return "on" if switch == "1" else "off"


def compare(work: Work, puna: Side, peers: list[Side], repeats: int) -> Row:
    """Warm up and find the peer's best setting in a first round; then measure in alternation."""
    settings = peers if work.sequences > 1 else peers[::2]
    if work.shared:
        settings = [side for side in peers if side.name.endswith("unified KV on")]
    puna.seconds(work, 0)
    best = min(settings, key=lambda side: side.seconds(work, 0))
    rounds = [
        (puna.seconds(work, seed), best.seconds(work, seed)) for seed in range(1, repeats + 1)
    ]
    ours, theirs = zip(*rounds, strict=True)
    return Row(
        work=work.name,
        puna=work.tokens / median(ours),
        peer=work.tokens / median(theirs),
        peer_setting=best.name,
        ratio=median(peer / one for one, peer in rounds),
    )


def main() -> None:
    """Measure, print, and write bench/results."""
    parser = argparse.ArgumentParser(prog="python -m bench.against")
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer", required=True, help="Python with llama-cpp-python")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    puna, peers = sides(asked.model, asked.peer, asked.threads)
    rows = []
    for work in WORKS:
        rows.append(compare(work, puna, peers, asked.repeat))
        shown = asdict(rows[-1])
        print("{work:34} {puna:8.1f} {peer:8.1f} tok/s  {ratio:5.2f} x".format(**shown), flush=True)
    for side in (puna, *peers):
        side.close()
    write(asked, rows)


def write(asked: argparse.Namespace, rows: list[Row]) -> None:
    """Keep the figures, their chart, and what the machine could do."""
    isa = choose_isa()
    read_bytes_s, multiplications_s = measure_ceiling(asked.threads)
    report: dict[str, Any] = {
        "model": asked.model.stem,
        "isa": isa,
        "threads": asked.threads,
        "repeat": asked.repeat,
        "ceiling_gb_s": round(read_bytes_s / 1e9, 1),
        "ceiling_gmac_s": round(multiplications_s / 1e9, 1),
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"against-{asked.model.stem}-{isa}"
    stem.with_name(stem.name + ".json").write_text(json.dumps(report, indent=1) + "\n")
    stem.with_name(stem.name + ".svg").write_text(draw(report))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
