"""Models that are being fetched: each on a thread, with its progress.

A model's name in, a `Pull` out that tells how far it is.  Knows no page.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from puna.errors import PunaError
from puna.formats.progress import Progress
from puna.server.web import words

Fetch = Callable[[str, Progress], Path]
KEPT = 8  # finished ones that still are shown

log = logging.getLogger(__name__)


class Pull:
    """One fetch."""

    def __init__(self, name: str) -> None:
        self.id = secrets.token_urlsafe(6)
        self.name = name
        self.done = self.failed = False
        self.share = 0.0
        self.words = "Asking the hub…"

    def tell(self, done_bytes: int, total_bytes: int | None) -> None:
        """Note how far it is."""
        if total_bytes:
            self.share = min(done_bytes / total_bytes, 1.0)
            self.words = f"{words.size(done_bytes)} of {words.size(total_bytes)}"
        else:
            self.words = words.size(done_bytes)

    def run(self, fetch: Fetch) -> None:
        """Fetch, and say how it ended."""
        try:
            fetch(self.name, self.tell)
        except (PunaError, OSError) as error:
            self.words, self.failed = f"Not fetched: {error}", True
        except Exception:
            log.exception("a model could not be fetched")
            self.words, self.failed = "Not fetched; the server's log says why.", True
        else:
            self.share, self.words = 1.0, "Fetched."
        self.done = True


class Pulls:
    """The fetches of this server, the newest first; each model once at a time."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._pulls: list[Pull] = []
        self._lock = threading.Lock()

    def start(self, name: str) -> Pull:
        """Begin to fetch, or return the fetch that runs already."""
        with self._lock:
            running = next((p for p in self._pulls if p.name == name and not p.done), None)
            if running is not None:
                return running
            pull = Pull(name)
            others = [p for p in self._pulls if p.name != name]
            self._pulls = [pull, *others][:KEPT]
        threading.Thread(target=pull.run, args=(self._fetch,), daemon=True, name="pull").start()
        return pull

    def forget(self, pull_id: str) -> None:
        """Show an ended one no more."""
        with self._lock:
            self._pulls = [p for p in self._pulls if not (p.done and p.id == pull_id)]

    def list(self) -> list[Pull]:
        """Those that run, and the last that ended."""
        return list(self._pulls)
