"""`puna bench`: how fast this machine runs a model, against what the machine can do.

In: a model, or a shape to be filled with random weights, and an amount of work.  Out: a
table, or one JSON object as the last line of stdout.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from puna.cli import options
from puna.cli.load import find_model
from puna.cli.progress import bytes_bar
from puna.config import Settings


def bench(
    context: typer.Context,
    *,
    model: options.Model = None,
    prompt: Annotated[int, typer.Option(min=1, metavar="N", help="Tokens to read.")] = 512,
    new: Annotated[int, typer.Option(min=2, metavar="N", help="Tokens to make.")] = 128,
    batch: Annotated[int, typer.Option(min=1, metavar="B", help="Sequences at once.")] = 1,
    cached: Annotated[
        int,
        typer.Option(
            "--context", min=0, metavar="C", help="Tokens in the cache before the prompt is read."
        ),
    ] = 0,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="T", show_default="PUNA_THREADS, or the machine's cores"),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, metavar="R", help="Times to measure.")] = 3,
    shape: Annotated[
        str | None,
        typer.Option(metavar="SHAPE", help="Random weights of a Llama's shape: 1b 3b 8b 70b 405b."),
    ] = None,
    quant: Annotated[
        str, typer.Option(metavar="QUANT", help="How --shape is quantised.")
    ] = "q4_k_m",
    as_json: options.Json = False,
) -> None:
    """Measure how fast a model runs here.

    Timed are loading, reading a prompt (prefill) and making tokens (decode). One run warms
    up, then medians count. --shape writes its file once, into PUNA_HOME/bench.
    """
    from puna.cli.measure import Work, measure_file

    settings: Settings = context.obj
    path = _random_model(settings, shape, quant) if shape else find_model(settings, model)
    workers = threads or settings.threads or len(os.sched_getaffinity(0))
    work = Work(prompt, new, batch, cached)
    report = {
        "model": path.stem if shape else model or settings.model,
        "isa": _isa(settings),
        "threads": workers,
        **asdict(work),
        "repeat": repeat,
        **measure_file(path, work, workers, repeat, settings.isa),
        **_ceiling(workers, settings),
    }
    if as_json:
        print(json.dumps(report))
    else:
        _show_table(report)


def _random_model(settings: Settings, shape: str, quant: str) -> Path:
    from puna.cli.random_model import random_model
    from puna.cli.shapes import find_quant, find_shape

    form, stored_as = find_shape(shape), find_quant(quant)
    with bytes_bar(f"Writing random weights, {form.name} {stored_as}") as progress:
        return random_model(settings.home / "bench", form, stored_as, progress)


def _isa(settings: Settings) -> str:
    from puna.kernels.native import choose_isa

    return choose_isa(settings.isa)


def _ceiling(threads: int, settings: Settings) -> dict[str, float]:
    from puna.kernels.native import measure_ceiling

    read_bytes_s, multiplications_s = measure_ceiling(threads, settings.isa)
    return {"ceiling_gb_s": read_bytes_s / 1e9, "ceiling_gmac_s": multiplications_s / 1e9}


ROWS = {  # key in the report: (label, format)
    "load_s": ("load", "{:.2f} s"),
    "ttft_ms": ("time to first token", "{:,.0f} ms"),
    "prefill_tok_s": ("prefill", "{:,.1f} tokens/s"),
    "decode_tok_s": ("decode, all sequences", "{:,.1f} tokens/s"),
    "weights_gb_s": ("weights read in decode", "{:.1f} GB/s"),
    "ceiling_gb_s": ("  the machine's ceiling", "{:.1f} GB/s"),
    "prefill_gmac_s": ("multiplications in prefill", "{:.1f} GMAC/s"),
    "ceiling_gmac_s": ("  the machine's ceiling", "{:.1f} GMAC/s"),
    "peak_rss_mb": ("peak memory", "{:,.0f} MB"),
    "file_mb": ("file", "{:,.0f} MB"),
}


def _show_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = "{model}: {prompt} + {new} tokens x {batch}, {threads} threads, {isa}"
    table = Table("", "median", "lowest", "highest", title=title.format(**report))
    for key, (label, form) in ROWS.items():
        if key in report:
            spread = report["spread"].get(key, [])
            table.add_row(label, *(form.format(value) for value in [report[key], *spread]))
    Console().print(table)
