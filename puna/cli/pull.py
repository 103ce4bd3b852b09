"""`puna pull`: a model's name in, its files in the model store out."""

from __future__ import annotations

from typing import Annotated

import typer

from puna.cli.load import pull_model
from puna.config import Settings


def pull(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="smollm2, or hf:ORG/REPO[:FILE or QUANT] on the Hugging Face hub.",
            metavar="NAME",
        ),
    ],
) -> None:
    """Fetch a model into the model store.

    A pull that broke off goes on where it stopped.

    HF_TOKEN lets you in where a licence must be accepted first, as for Llama.
    """
    settings: Settings = context.obj
    print(pull_model(settings, name))
