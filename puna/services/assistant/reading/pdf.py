"""PDF: the text of each page, line by line, through pypdf.

In: a file's bytes.  Out: lines with page and line.  Pictures are not read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from pypdf import PdfReader

from puna.services.assistant.reading.document import Line


def pdf_lines(data: bytes, most_pages: int) -> Iterator[Line]:
    """Yield the lines of every page."""
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise ValueError("it is locked by a password; unlock it first")
    if len(reader.pages) > most_pages:
        raise ValueError(f"it has {len(reader.pages):,} pages, more than {most_pages:,}")
    for page_number, page in enumerate(reader.pages, start=1):
        for number, text in enumerate(page.extract_text().splitlines(), start=1):
            yield Line(text.rstrip(), line=number, page=page_number)
