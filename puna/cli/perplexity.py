"""`puna perplexity`: a text file in, how well the model foresees it out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from puna.cli import options
from puna.cli.load import open_llm
from puna.cli.progress import tokens_bar
from puna.config import Settings
from puna.errors import SettingError


def perplexity(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A text in UTF-8.", metavar="FILE")
    ],
    window: Annotated[
        int, typer.Option("--window", metavar="N", min=2, help="Tokens that are read together.")
    ] = 512,
    as_json: options.Json = False,
    model: options.Model = None,
) -> None:
    """Measure how well a model foresees a text.

    Lower is better. The text is cut into windows; each token's negative log-likelihood given what
    stands before it in its window is averaged, and the average is exponentiated.
    """
    settings: Settings = context.obj
    text = _read(file)
    with open_llm(settings, model) as llm, tokens_bar(f"Reading {file.name}") as progress:
        result = llm.perplexity(text, window=window, progress=progress)
    if as_json:
        facts = {"perplexity": result.value, "tokens": result.tokens, "nll": result.nll}
        print(json.dumps({**facts, "window": window}))
    else:
        print(f"{result.value:.4f} over {result.tokens:,} tokens in windows of {window}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingError(
            f"{file} is not UTF-8 at byte {error.start}; convert it with iconv"
        ) from error
