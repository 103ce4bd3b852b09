"""What went wrong, as one line on stderr: what, where, what to do.

In: an error that a user, a file or the machine can cause.  Out: words.  Ends nothing.
"""

from __future__ import annotations

import errno
import sys

from puna.errors import PunaError

FULL = "make room there, or set PUNA_HOME to another disk"
CLOSED = "choose another place, or ask whoever may write there"
HINTS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.EROFS: CLOSED,
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file in it",
    errno.EMFILE: "raise the limit: ulimit -n 4096",
}


def tell(error: PunaError | OSError | MemoryError) -> None:
    """Say it."""
    print(f"puna: error: {_words(error)}", file=sys.stderr)


def _words(error: PunaError | OSError | MemoryError) -> str:
    match error:
        case MemoryError():
            return "the machine's memory is full; choose a smaller model or a smaller PUNA_CONTEXT"
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            hint = HINTS.get(error.errno or 0)
            return f"{where}{error.strerror or error}{f'; {hint}' if hint else ''}"
    return str(error)
