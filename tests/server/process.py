"""The real program in a process of its own.

In: a home with a model, and where the accounts are.  Out: its address, what it said, and
what it logged.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

import httpx2

from tests.ports import free_port


class Process(Protocol):
    """What is asked of a process, as `subprocess` has it."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


class Puna:
    """`puna serve`, started; `said` is its standard output, `log` what it wrote beside it."""

    def __init__(
        self,
        home: Path,
        model: str,
        database: str | None = None,
        options: Sequence[str] = (),
        prefix: Callable[[Sequence[str]], Sequence[str]] = list,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.said, self.log = home / "said.txt", home / "log.txt"
        environment = {**os.environ, "PUNA_HOME": str(home), "PUNA_MODEL": model}
        if database is not None:
            environment["PUNA_DATABASE"] = database
        command = [sys.executable, "-m", "puna", "serve", "--port", str(self.port), *options]
        self.started = time.monotonic()
        with self.said.open("w") as said, self.log.open("a") as log:
            self.process = self._begun(prefix(command), environment, said, log)

    def _begun(
        self, command: Sequence[str], environment: Mapping[str, str], said: IO[str], log: IO[str]
    ) -> Process:
        return subprocess.Popen(command, env=environment, stdout=said, stderr=log)

    def wait_ready(self) -> float:
        """Wait for a decode step; returns the seconds since the start."""
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx2.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return time.monotonic() - self.started
            except httpx2.TransportError:
                pass
            time.sleep(0.02)

    def key(self) -> str:
        """The key that the first start shows."""
        return self._shown(r"Bearer (puna_sk_\w+)")

    def owner_token(self) -> str:
        """The token of the owner's link, which the first start shows."""
        return self._shown(r"/welcome#(\S+)")

    def _shown(self, pattern: str) -> str:
        found = re.search(pattern, self.said.read_text())
        assert found
        return found[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def keep_model(home: Path, name: str, model: Path) -> None:
    """Put a model into a home's store."""
    folder = home / "models" / name
    folder.mkdir(parents=True)
    try:
        (folder / f"{name}.gguf").hardlink_to(model)
    except OSError:  # on another disk
        (folder / f"{name}.gguf").write_bytes(model.read_bytes())
