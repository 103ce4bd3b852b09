"""Deleted words leave the file behind the deletion: a thread rewrites the indexes, step by step.

In: a store and its indexes.  Out: files in which no deleted word stands; `sweep` does it at once.
Does not know what was deleted.  A step is short, so nobody's message waits for the whole; what
the end of the process cuts off begins anew with the next sweep, the one at the start included.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from puna.accounts.store import Store
from puna.services.assistant.index import WordIndex

PAGES = 64  # of about 4 kB, in a step
PAUSE_S = 0.02  # between two steps, for those who wait to write
AGAIN_S = 60.0  # after a sweep that failed

log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps one store's indexes in the background; `lapsed` hears of each sweep that failed."""

    def __init__(
        self,
        store: Store,
        indexes: Sequence[WordIndex],
        lapsed: Callable[[], None] = lambda: None,
        again_s: float = AGAIN_S,
    ) -> None:
        self._store, self._indexes = store, tuple(indexes)
        self._lapsed, self._again_s = lapsed, again_s
        self._failing = False
        self._timer: threading.Timer | None = None  # until a sweep that failed is tried again
        self._thread = ThreadPoolExecutor(1, "puna-sweep")
        self._waiting: Future[None] | None = None
        self._ending = threading.Event()

    def wake(self) -> None:
        """Sweep soon; returns at once.  A sweep that has not begun serves all who ask."""
        if self._ending.is_set() or (self._waiting is not None and not _has_begun(self._waiting)):
            return
        self._waiting = self._thread.submit(self._sweep)

    def close(self) -> None:
        """End after the step under way."""
        self._ending.set()
        self._thread.shutdown(cancel_futures=True)
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        try:
            sweep(self._store, self._indexes, self._ending, PAUSE_S)
        except Exception:
            self._lapsed()
            if not self._failing:
                log.exception("deleted words are still in the index, to be swept later")
            self._failing = True
            self._try_again()
        else:
            self._failing = False

    def _try_again(self) -> None:
        """Sweep anew after a while, unless the process ends by then: the next start does it."""
        self._timer = threading.Timer(self._again_s, self.wake)
        self._timer.daemon = True
        self._timer.start()


def sweep(
    store: Store,
    indexes: Sequence[WordIndex],
    ending: threading.Event | None = None,
    pause_s: float = 0.0,
) -> None:
    """Rewrite the indexes to the end, in steps; an end that is set leaves the rest."""
    ending = ending or threading.Event()
    for index in indexes:
        pages = -PAGES
        while not ending.is_set():
            with store.write() as session:
                more = index.rewrite(session, pages)
            if not more:
                break
            pages = PAGES
            ending.wait(pause_s)


def _has_begun(sweeping: Future[None]) -> bool:
    return sweeping.running() or sweeping.done()
