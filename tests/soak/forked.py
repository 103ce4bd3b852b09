"""`puna serve` out of a process that has every module loaded, to be killed hundreds of times.

In: as `Puna`.  Out: the same program, in a process of its own; what Python takes to read modules
is spared, nothing else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import alembic.command  # noqa: F401  what follows is what the program reads as it starts
import uvicorn  # noqa: F401

import puna.kernels.native
import puna.llm.models
import puna.server.listening
import puna.server.web.site
import puna.services.assistant.assistant  # noqa: F401
from puna.cli import main
from tests.accounts.writer import CONTEXT
from tests.server.process import Puna

CONTEXT.set_forkserver_preload(["tests.accounts.writer", "tests.soak.forked"])


class Child:
    """A forked process, as `subprocess` shows one."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *files: str
    ) -> None:
        given = (arguments, dict(environment), files)
        self._process = CONTEXT.Process(target=_serve, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("puna serve", timeout or 0.0)
        return code

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, sig: int, /) -> None:
        os.kill(self.pid, sig)


class ForkedPuna(Puna):
    """`puna serve`, forked."""

    def _begun(
        self, command: Sequence[str], environment: Mapping[str, str], said: IO[str], log: IO[str]
    ) -> Child:
        return Child(command[2:], environment, said.name, log.name)


def _serve(arguments: Sequence[str], environment: Mapping[str, str], files: Sequence[str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate(files, start=1):
        os.dup2(os.open(Path(name), os.O_WRONLY | os.O_APPEND), number)
    sys.argv = list(arguments)
    main()
