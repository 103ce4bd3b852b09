"""Text of models, files and other people, as a terminal may show it.

In: any text.  Out: the same without control characters, which could move the cursor, hide lines or
talk to the terminal.  Knows no terminal.
"""

from __future__ import annotations

import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return the text with nothing but letters, newlines and tabs."""
    return CONTROLS.sub("", text)


def line(text: str, longest: int = 100) -> str:
    """Return the text on one line, cut where it is too long."""
    joined = " ".join(plain(text).split())
    return joined if len(joined) <= longest else f"{joined[: longest - 1]}…"
