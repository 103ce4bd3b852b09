"""How many tokens a second the whole server makes: its own count, looked at now and then.

A desk in, a number out.  Knows no page.
"""

from __future__ import annotations

import time

from puna.server.desk import Desk


class Pulse:
    """The speed between two looks that are far enough apart."""

    LEAST_S = 0.8

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen = desk.made()
        self._looked_at = time.monotonic()
        self._pace = 0.0

    def tokens_a_second(self) -> float:
        """Tokens of answers, those that have ended too, since the last look."""
        now = time.monotonic()
        took_s = now - self._looked_at
        if took_s < self.LEAST_S:
            return self._pace
        made = self._desk.made()
        # An answer whose end could not be written down is counted no more: that is no pace.
        pace = max(0, made - self._seen) / took_s
        self._seen, self._looked_at, self._pace = made, now, pace
        return self._pace
