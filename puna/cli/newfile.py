"""A file that a person asks for by name: written whole or not at all, and never over another.

In: a name as it was typed, and a text.  Out: the path that the text got.  Does not read it.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from puna.errors import ConflictError, InvalidParameterError


def typed_path(typed: str) -> Path:
    """Read a path as a shell does: without quotes, `~` as the home folder where there is one."""
    return Path(os.path.expanduser(typed.strip("'\"")))


def write_new(path: Path, text: str) -> None:
    """Write it; ConflictError where a file has that name, OSError where it cannot be written."""
    try:
        _written(path, text)
    except FileExistsError:
        raise ConflictError(f"{path} is there already; name another file") from None


def write_beside(path: Path, text: str) -> Path:
    """Write talk.md, or talk-2.md where that is taken, and so on; return which it is.

    Raises InvalidParameterError for a folder, and OSError where it cannot be written.
    """
    if path.is_dir():
        raise InvalidParameterError(f"{path} is a folder; name a file in it")
    numbers, free = count(2), path
    while True:
        try:
            return _written(free, text)
        except FileExistsError:
            free = path.with_stem(f"{path.stem}-{next(numbers)}")


def _written(path: Path, text: str) -> Path:
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:  # Ctrl-C, a full disk: half a file would pass for the whole
            path.unlink()
            raise
    return path
