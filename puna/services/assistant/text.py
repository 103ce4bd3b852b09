"""Text as every database keeps it.

In: text of people, models, files and tools.  Out: the same without zero bytes, which PostgreSQL
refuses, and without halves of surrogate pairs, which are no characters.
"""

from __future__ import annotations

import re

_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


def writable(text: str) -> str:
    """Return the text without what cannot be written."""
    return _UNWRITABLE.sub("", text)
