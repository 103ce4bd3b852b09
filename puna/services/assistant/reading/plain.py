"""Text and Markdown: lines as they stand, Markdown's with the heading above them.

In: text.  Out: numbered lines.  Knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from puna.services.assistant.reading.document import Line

_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")


def plain_lines(text: str) -> Iterator[Line]:
    """Yield the lines."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield Line(line.rstrip(), line=number)


def markdown_lines(text: str) -> Iterator[Line]:
    """Yield the lines; a # in a code block is no heading."""
    heading, fence = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if mark := _FENCE.match(line):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        elif not fence and (found := _HEADING.match(line)):
            heading = found[2]
        yield Line(line.rstrip(), line=number, heading=heading)
