"""What a refusal may cost: time and memory of this very process.

In: something to call.  Out: seconds, and the bytes by which resident memory
rose above where it stood.  Does not know what is called.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MAX_SECONDS = 0.1
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Cost:
    seconds: float
    grown_bytes: int


def cost_of(action: Callable[[], object]) -> Cost:
    """The peak is the kernel's: resetting it needs /proc/self/clear_refs (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    begin = time.perf_counter()
    action()
    seconds = time.perf_counter() - begin
    return Cost(seconds, _resident("VmHWM") - before)


def assert_cheap(action: Callable[[], object]) -> None:
    """Within the limits at the best of three attempts, as the machine has other work."""
    costs = [cost_of(action) for _ in range(3)]
    assert min(cost.seconds for cost in costs) < MAX_SECONDS
    assert min(cost.grown_bytes for cost in costs) < MAX_BYTES


def _resident(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    match = re.search(rf"{field}:\s+(\d+) kB", status)
    assert match
    return int(match[1]) * 1024
