"""Every address that a program and its children turn to, as the kernel saw them.

In: a command.  Out: the addresses that are not of this machine.  strace misses no system call,
whatever language or library makes it, so nothing can be overlooked, lookups of names included.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.server.process import Process

STRACE = shutil.which("strace")
CALLS = "connect,sendto,sendmsg,sendmmsg,io_uring_setup"
NO_RINGS = "inject=io_uring_setup:error=ENOSYS"  # they would hide the others; programs do without
PATIENCE_S = 20.0
OWN = re.compile(r'inet_addr\("127\.|"::1"|"::ffff:127\.')
DOMAIN = 53


def can_watch() -> bool:
    """Whether strace is on this machine and may look at other programs."""
    command = [STRACE or "", "-f", "--seccomp-bpf", "-q", "-o", "/dev/null", "true"]
    return bool(STRACE) and subprocess.run(command, check=False).returncode == 0


class Trace:
    """A command's prefix that writes down what it and its children connect and send to."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, command: Sequence[str]) -> list[str]:
        """The same command, watched; its process stays the caller's own child."""
        watching = ["strace", "-D", "-f", "--seccomp-bpf", "-q", "-s", "0", "-e", f"trace={CALLS}"]
        return [*watching, "-e", NO_RINGS, "-e", "signal=none", "-o", str(self._file), *command]

    def foreign(self, process: Process) -> list[str]:
        """Every call that led away from this machine; waits until the ended program is told of."""
        lines = self._whole(process.pid)
        return [line for line in lines if is_foreign(line)]

    def connections(self) -> int:
        """How many calls were seen at all."""
        return self._file.read_text().count("connect(")

    def _whole(self, pid: int) -> list[str]:
        told = re.compile(rf"^{pid} +\+\+\+ (exited|killed)", re.MULTILINE)
        deadline = time.monotonic() + PATIENCE_S
        while not told.search(text := self._file.read_text()):
            assert time.monotonic() < deadline, text[-400:]
            time.sleep(0.02)
        return text.splitlines()


def is_foreign(call: str) -> bool:
    """Whether a call of the tracer's file turns to another machine, or asks for a name."""
    if "io_uring_setup(" in call:
        return "(INJECTED)" not in call
    if "resolve" in call:
        return True
    families = set(re.findall(r"sa_family=AF_(\w+)", call))
    if families <= {"UNIX", "NETLINK", "UNSPEC"}:
        return False
    asks_for_a_name = f"port=htons({DOMAIN})" in call
    return asks_for_a_name or not OWN.search(call)
