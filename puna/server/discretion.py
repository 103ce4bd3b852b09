"""What a log may hold of an error: its kind and its place, not its words.

In: log records.  Out: lines.  An error that nobody foresaw may quote what a client sent, in its
message or a cause's; frames quote nothing but our own source.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from types import TracebackType

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"

ErrorInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class Discreet(logging.Formatter):
    """Formats tracebacks without the errors' messages."""

    def __init__(self) -> None:
        super().__init__(FORM)

    def formatException(self, ei: ErrorInfo) -> str:  # noqa: N802  logging's own name
        """Return the frames of the error and of what led to it, the first cause first."""
        return "\n".join(_told(error) for error in reversed(list(_causes(ei[1]))))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _told(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{type(error).__module__}.{type(error).__qualname__}"
