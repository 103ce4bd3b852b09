"""The options that several commands share.

In: nothing.  Out: annotated types for command functions.  Knows no command.
"""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help=(
            "A name in the model store, as hf:ORG/REPO:QUANT, or a path to a .gguf file or a "
            "safetensors folder."
        ),
        show_default="smollm2, or PUNA_MODEL",
    ),
]
System = Annotated[
    str | None,
    typer.Option("--system", "-s", metavar="TEXT", help="What the model is told beforehand."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        "-t",
        metavar="T",
        help="0 always takes the likeliest token.",
        show_default="the model's own, or 0.6",
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        metavar="P",
        help="Choose among the likeliest tokens that together have this probability.",
        show_default="the model's own, or 0.9",
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        "-n",
        min=1,
        metavar="N",
        help="The longest answer, in tokens.",
        show_default="what the context still holds",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", help="Same seed and question, same answer.", show_default="random"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
