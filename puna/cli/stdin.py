"""A text that is given as an argument or piped in.

In: an argument, or stdin.  Out: the text; a usage error if there is none.
"""

from __future__ import annotations

import sys

import typer


def text_or_stdin(argument: str | None) -> str:
    """Return the argument, or what is piped in where it is absent or "-"."""
    if argument not in (None, "-"):
        return str(argument)
    if argument is None and sys.stdin.isatty():
        raise typer.BadParameter("there is no text; give it as an argument or pipe it in")
    return read_stdin()


def read_stdin() -> str:
    """Return what stdin holds, without the white space around it."""
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace").strip()
    if not text:
        raise typer.BadParameter("stdin is empty; pipe a text into it")
    return text
