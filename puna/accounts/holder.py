"""Which process holds a reservation, and whether it still lives.

In: nothing.  Out: a name that no other process of this or another machine has.
Knows Linux's /proc; of another machine's processes it only knows that it cannot tell.
"""

from __future__ import annotations

import os
from pathlib import Path


def this_process() -> str:
    """Return machine:process:start, where the start tells apart processes of one number."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(holder: str) -> bool:
    """Say whether the process surely lives no more."""
    machine, pid, started = holder.split(":")
    return machine == _machine() and _started(int(pid)) != started


def _machine() -> str:
    """Return the boot and the namespace of process numbers: a container counts its own."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").readlink().name
    return f"{boot}/{''.join(filter(str.isdigit, namespace))}"


def _started(pid: int) -> str:
    """Return the kernel's clock ticks at the process's start; "" if there is no such process."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = state.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
