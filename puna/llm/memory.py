"""How much memory models may take on this machine.

In: what the system says of itself.  Out: bytes.  Knows no model.
"""

from __future__ import annotations

import os
from pathlib import Path

SHARE_FOR_MODELS = 0.7  # the rest is for the system, the prompts under way and the page cache
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_for_models() -> int:
    """Return the share of the machine's memory that models may take together, in bytes."""
    return int(machine_bytes() * SHARE_FOR_MODELS)


def machine_bytes() -> int:
    """Return the memory that this process may use at most: the machine's, or its container's."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *(limit for path in _CGROUP_LIMITS if (limit := _limit(path)))])


def _limit(path: Path) -> int | None:
    """Return a control group's limit; None where there is none ("max") or no such file."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
