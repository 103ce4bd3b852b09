"""A person at a terminal: types into a pseudo-terminal and waits for what appears."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

CTRL_C, CTRL_D, ENTER = "\x03", "\x04", "\r"
INPUT_ENDS = "\x1b[?2004l"  # bracketed paste goes off: from now on Ctrl-C is a signal
CONTROL_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_]|\][^\x07]*\x07)")


class Screen:
    """`puna` with arguments, or another program in Python, under a terminal of its own."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        program: Sequence[str] = ("-m", "puna"),
    ) -> None:
        self._terminal, theirs = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 (no thread holds a lock here)
        )
        os.close(theirs)
        self.raw = ""

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    @property
    def text(self) -> str:
        """Everything that appeared, without colours and cursor movements; ⏎ ends an input."""
        return CONTROL_SEQUENCE.sub("", self.raw.replace(INPUT_ENDS, "⏎")).replace("\r", "")

    def wait_for(self, pattern: str, *, after: int = 0, timeout_s: float = 30.0) -> int:
        """Read until `pattern` appears in the text behind `after`; returns where it ends."""
        deadline = time.monotonic() + timeout_s
        while not (found := re.compile(pattern, re.DOTALL).search(self.text, after)):
            assert self._read(deadline), f"no {pattern!r} in {self.text[after:]!r}"
        return found.end()

    def wait_for_exit(self, timeout_s: float = 30.0) -> int:
        """Read to the end; returns the exit code."""
        deadline = time.monotonic() + timeout_s
        while self._read(deadline):
            pass
        return self.process.wait(timeout_s)

    def _read(self, deadline: float) -> bool:
        """Take in what appeared; False at the deadline or when the program has left."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        try:
            piece = os.read(self._terminal, 65536) if ready else b""
        except OSError:  # EIO: nobody has the other side open any more
            piece = b""
        self.raw += piece.decode(errors="replace")
        return bool(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


def _take_terminal() -> None:
    """Make stdin the session's terminal, so that Ctrl-C becomes a signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite run in the background ignores it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
