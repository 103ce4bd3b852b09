"""A sign of life on stderr while a model is loaded or still reads: gone before the first word.

In: the moment of asking, and that of the first event worth showing.  Out: a spinner, where that
takes longer than a moment.  Knows no server.
"""

from __future__ import annotations

import sys
from threading import Lock, Timer
from typing import TYPE_CHECKING

from puna.cli.progress import MOMENT_S

if TYPE_CHECKING:
    from rich.status import Status

READING = "Reading"


class Waiting:
    """Waits in a thread of its own, which draws nothing once it is over."""

    def __init__(self, words: str = READING) -> None:
        self._words = words
        self._lock = Lock()
        self._status: Status | None = None
        self._over = not sys.stderr.isatty()
        self._timer = Timer(MOMENT_S, self._begin)
        self._timer.daemon = True
        if not self._over:
            self._timer.start()

    def say(self, words: str) -> None:
        """Tell what is waited for now."""
        with self._lock:
            self._words = words
            if self._status is not None:
                self._status.update(words)

    def end(self) -> None:
        """Take the spinner away; nothing happens where that is done already."""
        if self._over:
            return
        with self._lock:
            self._over = True
            self._timer.cancel()
            if self._status is not None:
                self._status.stop()

    def _begin(self) -> None:
        from rich.console import Console

        with self._lock:
            if not self._over:
                self._status = Console(stderr=True).status(self._words)
                self._status.start()
