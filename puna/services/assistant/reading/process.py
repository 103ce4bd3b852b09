"""The child process that parses a file: started for one file, ended with it or at a limit.

In: a name and bytes.  Out: a Document, or FileRefusedError that says why.
Knows no format: child.py, which runs in the process, does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import Any

from puna.errors import FileRefusedError, TooLargeError
from puna.services.assistant.reading.document import Document, Kind, Line
from puna.services.assistant.reading.kinds import kind_of
from puna.services.assistant.text import writable

CHILDREN = threading.BoundedSemaphore(2)  # files parsed at once; the cores belong to the answers


@dataclass(frozen=True)
class ReadingLimits:
    """What one file may take."""

    file_bytes: int = 32 * 2**20
    memory_bytes: int = 512 * 2**20  # beyond what the child has mapped when it is ready
    cpu_s: float = 30.0
    wall_s: float = 60.0
    characters: int = 5_000_000  # of text in all
    lines: int = 200_000
    pages: int = 2_000


def read(name: str, data: bytes, limits: ReadingLimits | None = None) -> Document:
    """Return what stands in the file; FileRefusedError or TooLargeError if it cannot be read."""
    limits = limits or ReadingLimits()
    if len(data) > limits.file_bytes:
        raise TooLargeError(
            f"{name!r} has {len(data) >> 20} MiB, and a file may have {limits.file_bytes >> 20}"
        )
    kind = kind_of(name, data)
    with CHILDREN:
        answer = _run(name, kind, data, limits)
    if "error" in answer:
        raise FileRefusedError(f"{name!r} cannot be read: {answer['error']}")
    lines = tuple(_line(line) for line in answer["lines"])
    if not lines:
        hint = "; it may hold pictures of pages alone" if kind == "pdf" else ""
        raise FileRefusedError(f"{name!r} holds no text{hint}")
    return Document(kind, lines, answer["pages"])


def _line(line: dict[str, Any]) -> Line:
    return Line(**{**line, "text": writable(line["text"]), "heading": writable(line["heading"])})


def _run(name: str, kind: Kind, data: bytes, limits: ReadingLimits) -> dict[str, Any]:
    settings = json.dumps({"kind": kind, **asdict(limits)})
    child = "puna.services.assistant.reading.child"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", child, settings],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},  # a hostile file finds nothing here
            timeout=limits.wall_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileRefusedError(
            f"{name!r} cannot be read: it took more than {limits.wall_s:g} s"
        ) from None
    if done.returncode:
        raise FileRefusedError(
            f"{name!r} cannot be read: it needs more than {limits.cpu_s:g} s of processor time "
            f"or {limits.memory_bytes >> 20} MiB, or it breaks the parser"
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
