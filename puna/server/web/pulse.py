"""How many tokens a second the whole server makes: the jobs' own counts, looked at now and then.

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
        self._seen: dict[str, int] = {}
        self._looked_at = time.monotonic()
        self._pace = 0.0

    def tokens_a_second(self) -> float:
        """Tokens of requests that are under way, since the last look."""
        now = time.monotonic()
        took_s = now - self._looked_at
        if took_s < self.LEAST_S:
            return self._pace
        counts = {job: u.completion_tokens for job, u in self._desk.counted().items()}
        made = sum(n - self._seen.get(job, 0) for job, n in counts.items())
        self._seen, self._looked_at, self._pace = counts, now, made / took_s
        return self._pace
