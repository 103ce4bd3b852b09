"""Passages: a document cut into pieces that answer a question, each with its exact place.

In: a document's lines.  Out: passages of about `WORDS` words, overlapping by a line or two.
Does not know what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from puna.services.assistant.reading import Document, Line

WORDS = 160  # about 220 tokens: four of them leave room in a small context
LONGEST_LINE = 2_000  # characters; a longer line is cut, each piece keeping the line's place
OVERLAP_WORDS = 30


@dataclass(frozen=True)
class Place:
    """Where a passage stands, from the first to the last line; 0 where the kind has none."""

    first_line: int = 0
    last_line: int = 0
    page: int = 0
    first_row: int = 0
    last_row: int = 0

    def shown(self) -> str:
        """Return it in words: "page 3, lines 10-24", "rows 4-9"."""
        parts = [f"page {self.page}"] if self.page else []
        if self.first_row:
            parts.append(_range("row", self.first_row, self.last_row))
        elif self.first_line:
            parts.append(_range("line", self.first_line, self.last_line))
        return ", ".join(parts)


@dataclass(frozen=True)
class Passage:
    """A piece of a document; `line_numbers[i]` is the line on which the text's line i stands."""

    ordinal: int  # from 1, within its file
    text: str
    place: Place
    heading: str = ""
    line_numbers: tuple[int, ...] = ()


def cut(document: Document) -> Iterator[Passage]:
    """Yield the passages; none crosses a page."""
    lines = [piece for line in document.lines for piece in _pieces(line)]
    start, ordinal = 0, 1
    while start < len(lines):
        end = _end(lines, start)
        yield _passage(ordinal, lines[start:end])
        start, ordinal = _next_start(lines, start, end), ordinal + 1


def _end(lines: Sequence[Line], start: int) -> int:
    """Return where the passage ends: full, at the page's end, or before a new heading."""
    count = 0
    for at in range(start, len(lines)):
        count += len(lines[at].text.split())
        following = lines[at + 1] if at + 1 < len(lines) else None
        if following is None or following.page != lines[at].page:
            return at + 1
        turns = following.heading != lines[at].heading and count >= WORDS // 3
        if turns or count + len(following.text.split()) > WORDS:
            return at + 1
    return len(lines)


def _next_start(lines: Sequence[Line], start: int, end: int) -> int:
    """Step back by a few words, unless the page, the heading or a table's row begins anew."""
    if end >= len(lines) or lines[end].row or _apart(lines[end], lines[end - 1]):
        return end
    at, count = end, 0
    while at - 1 > start and count + len(lines[at - 1].text.split()) <= OVERLAP_WORDS:
        at -= 1
        count += len(lines[at].text.split())
    return at


def _apart(line: Line, before: Line) -> bool:
    return line.page != before.page or line.heading != before.heading


def _passage(ordinal: int, lines: Sequence[Line]) -> Passage:
    first, last = lines[0], lines[-1]
    place = Place(first.line, last.line, first.page, first.row, last.row)
    numbers = tuple(line.line for line in lines)
    return Passage(ordinal, "\n".join(line.text for line in lines), place, first.heading, numbers)


def _pieces(line: Line) -> Iterator[Line]:
    text = line.text
    while len(text) > LONGEST_LINE:
        space = text.rfind(" ", LONGEST_LINE // 2, LONGEST_LINE)
        at = space if space > 0 else LONGEST_LINE
        yield Line(text[:at], line.line, line.page, line.row, line.heading)
        text = text[at:].lstrip()
    yield Line(text, line.line, line.page, line.row, line.heading)


def _range(noun: str, first: int, last: int) -> str:
    return f"{noun} {first}" if first == last else f"{noun}s {first}-{last}"
