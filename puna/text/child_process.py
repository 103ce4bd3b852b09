"""A child process that tries what strangers wrote, and can be killed at it.

In: a request, plain data.  Out: the answer's text.  Does not know templates,
nor grammars.  A thread cannot be stopped in the middle of range(10**9) or of a
regex that explodes; a process can.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

START_S = 30.0  # Python and its libraries start in 0.2 s; a laden machine may take its time
LONGEST_ANSWER = 32 * 2**20  # bytes

_CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class ChildLimits:
    """What a child does and what one request may take."""

    kind: Literal["template", "grammar"]
    cpu_s: float
    wall_s: float
    memory_bytes: int  # beyond what the child has mapped when it is ready
    output_characters: int = 0
    grammar: dict[str, Any] = field(default_factory=dict)  # llguidance's own limits


class ChildRefusedError(Exception):
    """The child answered that it cannot; the text says why."""


class ChildStoppedError(Exception):
    """The child passed a limit and is gone; the text says which."""


class ChildProcess:
    """Starts at the first request and stays for the next; one request at a time."""

    def __init__(self, limits: ChildLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def ask(self, request: dict[str, Any]) -> str:
        """Return the answer's text; raises ChildRefusedError or ChildStoppedError."""
        with self._lock:
            answer = self._answer(json.dumps(request).encode())
        if "text" not in answer:
            raise ChildRefusedError(answer["error"])
        text: str = answer["text"]
        return text

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._stop()

    def _answer(self, data: bytes) -> dict[str, Any]:
        child = self._child or self._start()
        deadline = time.monotonic() + self._limits.wall_s
        try:
            _send(child, data, deadline)
            return _receive(child, deadline)
        except TimeoutError:
            reason = f"ran longer than {self._limits.wall_s:g} s"
        except (EOFError, OSError):
            reason = (
                f"needed more than {self._limits.cpu_s:g} s of processor time "
                f"or {self._limits.memory_bytes >> 20} MiB"
            )
        self._stop()
        raise ChildStoppedError(reason)

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD), json.dumps(asdict(self._limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},  # a hostile template finds nothing here
            bufsize=0,
        )
        self._child, self._finalizer = child, weakref.finalize(self, _end, child)
        try:
            _receive(child, time.monotonic() + START_S)
        except (TimeoutError, EOFError, OSError):
            self._stop()
            raise ChildStoppedError("did not start") from None
        return child

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._child = self._finalizer = None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


def _send(child: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
    assert child.stdin is not None
    pipe, view = child.stdin.fileno(), memoryview(len(data).to_bytes(4, "big") + data)
    os.set_blocking(pipe, False)
    while view:
        _await(pipe, selectors.EVENT_WRITE, deadline)
        view = view[os.write(pipe, view) :]


def _receive(child: subprocess.Popen[bytes], deadline: float) -> dict[str, Any]:
    assert child.stdout is not None
    pipe = child.stdout.fileno()
    length = int.from_bytes(_read(pipe, 4, deadline), "big")
    if length > LONGEST_ANSWER:
        raise EOFError("the answer is longer than any that the child may give")
    answer: dict[str, Any] = json.loads(_read(pipe, length, deadline))
    return answer


def _read(pipe: int, length: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        _await(pipe, selectors.EVENT_READ, deadline)
        part = os.read(pipe, length - len(data))
        if not part:
            raise EOFError("the child ended")
        data += part
    return bytes(data)


def _await(pipe: int, event: int, deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, event)
        if not selector.select(max(deadline - time.monotonic(), 0)):
            raise TimeoutError
