"""What was read from a file: lines, each with the place where a person finds it.

In: nothing.  Out: plain data.  Knows no format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "markdown", "pdf", "table", "html"]


@dataclass(frozen=True)
class Line:
    """A line of text; numbers count from 1.

    `line` is that of the file, or within the `page` of a PDF; a table's line has a `row`, as a
    spreadsheet numbers it; `heading` is the one above it, where the format has headings.
    """

    text: str
    line: int = 0
    page: int = 0
    row: int = 0
    heading: str = ""


@dataclass(frozen=True)
class Document:
    """All lines that hold text, in order."""

    kind: Kind
    lines: tuple[Line, ...]
    pages: int = 0
