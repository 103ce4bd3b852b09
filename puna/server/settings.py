"""How much the server takes on, and how long it waits.

In: numbers from whoever starts it.  Out: limits.  Knows no request.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class ServerSettings:
    """The limits of one server; times in seconds, sizes in bytes."""

    default_model: str = "smollm2"
    hosts: Collection[str] = LOCAL_HOSTS  # names that the server answers to; "*" for any
    running: int = 64  # requests that the engine may work on at once
    queue: int = 64  # requests that may wait beside them
    unstated_tokens: int = 512  # reserved at a time for an answer whose client states no length
    body_bytes: int = 4 * 2**20
    header_bytes: int = 16 * 2**10
    headers: int = 100
    header_s: float = 10.0  # for a request's header, from its first byte or the connection on
    body_s: float = 30.0  # for a body, or each stretch of it that keeps the least pace
    send_s: float = 30.0  # for a reader to take what is ready
    ping_s: float = 15.0  # a silent stream says so as often
    drain_s: float = 30.0  # for answers under way, once the server is told to end
    fresh_s: float = 1.0  # how old the engine's last sign of life may be
    probe_s: float = 2.0  # how long a decode step may take before health is red
    renew_s: float = 1.0  # how often a reservation's lease is renewed
    sweep_s: float = 60.0  # how often stale reservations are settled
    upload_bytes: int = 2**30  # that one person may have on their way in at once
    spare_bytes: int = 256 * 2**20  # of the disk that files leave free
    counts_folder: Path | None = None  # where counts outlive a killed process; None: nowhere

    @property
    def most_requests(self) -> int:
        """Requests that may be here at once."""
        return self.running + self.queue
