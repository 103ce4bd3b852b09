"""A child process that renders templates, and is killed if one takes too long.

In: a request, plain data.  Out: the rendered text.  Does not know messages.
A thread cannot be stopped in the middle of range(10**9), a process can.
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
from pathlib import Path
from typing import Any

from puna.errors import TemplateError

RENDER_S = 1.0
START_S = 30.0  # Python and Jinja start in 0.15 s; a laden machine may take its time
MEMORY_BYTES = 64 * 2**20
OUTPUT_CHARACTERS = 4 * 2**20

_CHILD = Path(__file__).with_name("jinja_child.py")


class JinjaProcess:
    """Starts at the first render and stays for the next; one render at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def render(self, request: dict[str, Any]) -> str:
        """Return the text; raises TemplateError if the template fails or passes a limit."""
        with self._lock:
            answer = self._answer(json.dumps(request).encode())
        if "text" not in answer:
            raise TemplateError(
                f"the model file's chat template refused the messages: {answer['error']}"
            )
        text: str = answer["text"]
        return text

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._stop()

    def _answer(self, data: bytes) -> dict[str, Any]:
        child = self._child or self._start()
        deadline = time.monotonic() + RENDER_S
        try:
            _send(child, data, deadline)
            return _receive(child, deadline)
        except TimeoutError:
            failure = f"ran longer than {RENDER_S:g} s"
        except (EOFError, OSError):
            failure = f"needed more than {MEMORY_BYTES >> 20} MiB or crashed"
        self._stop()
        raise TemplateError(
            f"the model file's chat template {failure} and was stopped; "
            "use a file with another template"
        )

    def _start(self) -> subprocess.Popen[bytes]:
        limits = {"memory_bytes": MEMORY_BYTES, "output_characters": OUTPUT_CHARACTERS}
        child = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD), json.dumps(limits)],
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
            raise TemplateError("the process that renders chat templates did not start") from None
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
    if length > 8 * OUTPUT_CHARACTERS:
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
