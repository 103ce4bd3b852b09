"""Which kind of file it is: told by its name and its first bytes, never by what was claimed.

In: a name and bytes.  Out: the kind, and the media type under which it is kept.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from puna.errors import FileRefusedError
from puna.services.assistant.reading.document import Kind

_BY_SUFFIX: dict[str, Kind] = {
    ".txt": "text", ".text": "text", ".log": "text", ".rst": "text", ".tex": "text",
    ".json": "text", ".jsonl": "text", ".yaml": "text", ".yml": "text", ".toml": "text",
    ".ini": "text", ".xml": "text", ".srt": "text", ".eml": "text",
    ".py": "text", ".js": "text", ".ts": "text", ".c": "text", ".h": "text", ".cpp": "text",
    ".java": "text", ".go": "text", ".rs": "text", ".sh": "text", ".sql": "text", ".css": "text",
    ".md": "markdown", ".markdown": "markdown",
    ".pdf": "pdf",
    ".csv": "table", ".tsv": "table",
    ".html": "html", ".htm": "html", ".xhtml": "html",
}  # fmt: skip
MEDIA_TYPES: dict[Kind, str] = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "pdf": "application/pdf",
    "table": "text/csv",
    "html": "text/html",
}
SHOWN = "text, Markdown, PDF, CSV or HTML"


def kind_of(name: str, data: bytes) -> Kind:
    """Return the kind; FileRefusedError where Puna does not read it."""
    suffix = PurePosixPath(name).suffix.lower()
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    kind = _BY_SUFFIX.get(suffix)
    if kind is None or kind == "pdf" or _is_binary(data):
        raise FileRefusedError(f"{name!r} cannot be read: attach {SHOWN}")
    return kind


def _is_binary(data: bytes) -> bool:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return not wide and b"\0" in data[:8192]
