"""`puna tokenize`: a text in, its token ids and their texts out.

Opens the model's file for its tokenizer; loads no weights.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from puna.cli import options
from puna.cli.load import open_weights
from puna.cli.stdin import text_or_stdin
from puna.config import Settings


def tokenize(
    context: typer.Context,
    text: Annotated[
        str | None, typer.Argument(help="The text; read from stdin when absent or -.")
    ] = None,
    special: Annotated[
        bool, typer.Option("--special", help="Read control tokens in the text as such.")
    ] = False,
    as_json: options.Json = False,
    model: options.Model = None,
) -> None:
    """Show how a model cuts a text into tokens."""
    settings: Settings = context.obj
    text = text_or_stdin(text)
    from puna.text.tokenizer import Tokenizer

    with open_weights(settings, model) as checkpoint:
        tokenizer = Tokenizer.from_checkpoint(checkpoint)
    ids = tokenizer.encode(text, special=special)
    pieces = [(token_id, tokenizer.token_text(token_id)) for token_id in ids]
    if as_json:
        tokens = [{"id": token_id, "text": piece} for token_id, piece in pieces]
        print(json.dumps({"count": len(ids), "tokens": tokens}, ensure_ascii=False))
    else:
        for token_id, piece in pieces:
            print(f"{token_id:>7} {piece!r}")
