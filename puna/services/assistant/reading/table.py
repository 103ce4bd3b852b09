"""CSV: each row as a line that names its columns, so that it reads alone.

In: text.  Out: lines with the row's number as a spreadsheet shows it.  Knows no file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from puna.services.assistant.reading.document import Line

_DELIMITERS = ",;\t|"
_LONGEST_FIELD = 100_000  # characters


def table_lines(text: str) -> Iterator[Line]:
    """Yield `column: value; column: value` for each row below the header."""
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text))
    header = [name.strip() for name in next(rows, [])]
    if header:
        yield Line("; ".join(header), line=1, row=1)
    line = rows.line_num
    for number, row in enumerate(rows, start=2):
        yield Line(_named(header, row), line=line + 1, row=number)
        line = rows.line_num


def _named(header: list[str], row: list[str]) -> str:
    names = header + [""] * (len(row) - len(header))
    fields = zip(names, (" ".join(value.split()) for value in row), strict=False)
    return "; ".join(f"{name}: {value}" if name else value for name, value in fields if value)


def _delimiter(text: str) -> str:
    """Return the delimiter that the first line holds most often."""
    first = text.split("\n", 1)[0]
    return max(_DELIMITERS, key=first.count)
