"""Fetches of the console: progress, failure, never twice at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from puna.errors import DownloadError
from puna.formats.progress import Progress
from puna.server.web.console.pulls import Pull, Pulls


class Hub:
    """Gives half, waits to be let go, then all, or refuses."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []
        self._error = error

    def fetch(self, name: str, progress: Progress) -> Path:
        self.asked.append(name)
        progress(50, 100)
        self.go.wait(30)
        if self._error:
            raise self._error
        return Path(name)


def ended(pull: Pull) -> Pull:
    deadline = time.monotonic() + 30
    while not pull.done and time.monotonic() < deadline:
        time.sleep(0.005)
    assert pull.done
    return pull


def test_progress_is_told_and_a_second_wish_joins_the_first() -> None:
    hub = Hub()
    pulls = Pulls(hub.fetch)
    pull = pulls.start("hf:a/b")
    assert pulls.start("hf:a/b") is pull
    while not pull.share:
        time.sleep(0.001)
    assert (pull.share, pull.words) == (0.5, "50 bytes of 100 bytes")
    hub.go.set()
    assert ended(pull).words == "Fetched."
    assert hub.asked == ["hf:a/b"]


def test_a_failure_is_said_in_its_own_words() -> None:
    hub = Hub(DownloadError("the hub is away"))
    hub.go.set()
    pulls = Pulls(hub.fetch)
    pull = ended(pulls.start("hf:a/b"))
    assert (pull.words, pull.failed) == ("Not fetched: the hub is away", True)


def test_a_second_try_takes_the_place_of_the_first_until_it_is_put_away() -> None:
    hub = Hub(DownloadError("the hub is away"))
    hub.go.set()
    pulls = Pulls(hub.fetch)
    first = ended(pulls.start("hf:a/b"))
    second = ended(pulls.start("hf:a/b"))
    assert first is not second
    assert pulls.list() == [second]
    pulls.forget(second.id)
    assert pulls.list() == []
