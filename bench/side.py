"""An engine under one setting, in a process of its own.

In: a command, and work.  Out: seconds, perplexity, memory.  Knows no engine.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.work import START, Prompts, Work

ROOT = Path(__file__).parents[1]


class AbsentError(Exception):
    """The interpreter lacks the engine's package, or the engine cannot do the work."""


class EndedError(Exception):
    """The process failed; what it said of that stands on stderr."""


class Side:
    """Starts its process when it is first asked, and again after `close`."""

    def __init__(self, engine: str, setting: str, command: list[str]) -> None:
        self.engine, self.setting = engine, setting
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    def seconds(self, work: Work, seed: int) -> float:
        """Have the work done once.  Raises AbsentError."""
        return self._ask(seconds=asdict(work), seed=seed)

    def first_token_s(self) -> float:
        """Start a process and have it read a short prompt; the seconds of it all."""
        self.close()
        start = perf_counter()
        self.seconds(START, 0)
        return perf_counter() - start

    def perplexity(self, windows: Prompts) -> float:
        """Have windows of token ids read."""
        return self._ask(perplexity=windows)

    def peak_mb(self) -> float:
        """The most memory that the process ever held, in 10^6 bytes; mapped pages count."""
        return self._ask(peak_mb=True)

    def close(self) -> None:
        """End the process and give back its memory."""
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None

    def _ask(self, **question: Any) -> float:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # an absent engine's process, or one that failed, has ended
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise EndedError(f"{self.engine}, {self.setting}: its process ended; see above")
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise AbsentError(answer["absent"])
        return float(answer)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
