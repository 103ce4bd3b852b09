"""Puna beside llama.cpp: the same file and work, in alternation, in one run.

    python -m bench.against MODEL.gguf --peer PYTHON [--transformers PYTHON] [--openvino PYTHON]
        [--repeat 5] [--threads 2] [--isa avx2] [--only WORDS] [--without WORDS]

PYTHON is an interpreter that has llama-cpp-python (transformers, openvino-genai), built for
this machine; one that lacks its package is left out with a line.  Each peer runs at the best
of its settings.  A model above 2 GB gets shorter work.  Prints a table, writes it with a chart
into bench/results; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from bench.chart import draw
from bench.compare import LOOKUP, START_NAME, Row, compare, compare_starts
from bench.picture import write_pictures
from bench.side import AbsentError, Side
from bench.texts import edits, english
from bench.work import LARGE, SMALL, Prompts, Work
from puna.formats import open_checkpoint
from puna.kernels.native import choose_isa, measure_ceiling

RESULTS = Path(__file__).parent / "results"
LARGE_BYTES = 2e9
DISAGREE = "DISAGREE"
LINE = (
    "{work:34} {ratio:6.2f} x  ({spread[0]:.2f} to {spread[1]:.2f})  {puna:8.2f} {peer:8.2f} "
    "{unit:5}  {peer_engine}, {peer_setting}"
)


def main() -> None:
    """Measure, print, and write bench/results."""
    asked = arguments("python -m bench.against")
    works, windows = work_for(asked.model)
    warm(asked.model)
    puna, *peers = sides(asked)
    rows: list[Row] = []
    for work in works:
        if asked.only in work.name and not (asked.without and asked.without in work.name):
            rows += shown(compare(work, puna, peers, asked.repeat))
    checks = {**agreement(asked.model, puna, peers[0], windows), **memory(asked, puna, peers[0])}
    if asked.only in START_NAME and asked.model.stat().st_size > LARGE_BYTES:
        rows += shown(compare_starts(puna, peers[:1], asked.repeat))
    for side in (puna, *peers):
        side.close()
    write(asked, {**facts(asked), **checks, "rows": [asdict(row) for row in rows]})
    if checks.get("perplexities") == DISAGREE:
        sys.exit("The two do not compute the same, so their speeds do not compare")


def warm(model: Path) -> None:
    """Read the file once, so that no engine waits for the disk."""
    with model.open("rb") as file:
        while file.read(16 << 20):
            pass


def arguments(program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer", required=True, help="Python with llama-cpp-python")
    parser.add_argument("--transformers", help="Python with torch and transformers")
    parser.add_argument("--openvino", help="Python with openvino-genai")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--isa", default=os.environ.get("PUNA_ISA", ""), help="Puna's, not a peer's"
    )
    parser.add_argument("--only", default="", help="work whose name has these words in it")
    parser.add_argument("--without", default="", help="no work whose name has these words in it")
    return parser.parse_args()


def work_for(model: Path) -> tuple[list[Work], Prompts]:
    """Choose the work, and the English that checks that both compute the same."""
    with open_checkpoint(model) as checkpoint:
        if checkpoint.file_bytes > LARGE_BYTES:
            return list(LARGE), english(checkpoint, 1, 64)
        return [*SMALL, *edits(checkpoint)], english(checkpoint, 8, 512)


def sides(asked: argparse.Namespace) -> Iterator[Side]:
    """Puna, then every setting of every peer; a process starts when it is first asked."""
    common = [str(asked.model), str(asked.threads)]
    yield Side("Puna", "", [sys.executable, "-m", "bench.puna_worker", *common, asked.isa])
    llama_cpp = [asked.peer, "-m", "bench.llama_cpp_worker", *common]
    for flash, unified in product("10", "10"):
        setting = f"flash attention {on(flash)}, unified KV {on(unified)}"
        yield Side("llama.cpp", setting, [*llama_cpp, flash, unified, "0"])
    for flash, guessed in product("10", ("2", "10")):
        setting = f"flash attention {on(flash)}, {LOOKUP} of {guessed}"
        yield Side("llama.cpp", setting, [*llama_cpp, flash, "0", guessed])
    if asked.transformers:
        command = [asked.transformers, "-m", "bench.transformers_worker", *common]
        yield Side("transformers", "float32", command)
    if asked.openvino:
        command = [asked.openvino, "-m", "bench.openvino_worker", *common]
        yield Side("OpenVINO GenAI", "its defaults", command)


def on(switch: str) -> str:
    return "on" if switch == "1" else "off"


def shown(rows: list[Row]) -> list[Row]:
    for row in rows:
        print(LINE.format(**asdict(row)), flush=True)
    return rows


def facts(asked: argparse.Namespace) -> dict[str, Any]:
    """What was compared on what."""
    isa = choose_isa(asked.isa or None)
    read_bytes_s, multiplications_s = measure_ceiling(asked.threads, isa)
    return {
        "model": asked.model.stem,
        "isa": isa,
        "threads": asked.threads,
        "repeat": asked.repeat,
        "ceiling_gb_s": round(read_bytes_s / 1e9, 1),
        "ceiling_gmac_s": round(multiplications_s / 1e9, 1),
    }


def agreement(model: Path, puna: Side, peer: Side, windows: Prompts) -> dict[str, Any]:
    """Perplexities of the same text; those of trained weights must lie within half a percent."""
    ours = puna.perplexity(windows)
    try:
        theirs = peer.perplexity(windows)
    except AbsentError:
        return {"perplexity": ours}
    apart = ours / theirs - 1
    verdict = "agree" if abs(apart) < 0.005 else DISAGREE
    if model.name.startswith("random-"):
        verdict = "of random weights"  # any rounding grows on its way through them
    print(f"perplexities {verdict}: {ours:.4g} and {theirs:.4g}, {apart:+.3%}", flush=True)
    return {"perplexity": ours, "peer_perplexity": theirs, "perplexities": verdict}


def memory(asked: argparse.Namespace, puna: Side, peer: Side) -> dict[str, Any]:
    """Peak memory of the processes that did the work, and the file's size."""
    file_mb = asked.model.stat().st_size / 1e6
    ours, theirs = puna.peak_mb(), peer.peak_mb()
    print(
        f"peak memory: {ours:,.0f} MB, {ours / file_mb:.2f} times the file; "
        f"{peer.engine} {theirs:,.0f} MB, {theirs / file_mb:.2f} times",
        flush=True,
    )
    return {"file_mb": file_mb, "peak_mb": ours, "peer_peak_mb": theirs}


def write(asked: argparse.Namespace, report: dict[str, Any]) -> None:
    """Keep the figures and their chart; of some works alone, or of no use, only print them."""
    if not asked.only and report.get("perplexities") != DISAGREE:
        RESULTS.mkdir(exist_ok=True)
        stem = RESULTS / f"against-{report['model']}-{report['isa']}"
        Path(f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n")
        write_pictures(stem, draw(report))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
