"""The file by which programs of the same Unix user find the server that runs: its address and key.

`puna serve` writes it into PUNA_HOME, holds a lock on it as long as it lives, and removes it.  Who
reads it trusts it only if the file is their own, closed to others, and still locked.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "server.json"
LONGEST = 4096  # bytes


@dataclass(frozen=True)
class Announcement:
    """Where a server of this machine listens, and the secret that opens its owner's things."""

    url: str
    process: int
    machine: str
    key: str = field(repr=False)


@contextmanager
def announced(home: Path, url: str, key: str) -> Iterator[None]:
    """Say that a server is there, unless another one of the same home says so already."""
    if find_server(home) is not None:
        yield
        return
    path = home / NAME
    announcement = Announcement(url, os.getpid(), socket.gethostname(), key)
    with _written(path, announcement) as held:
        try:
            yield
        finally:
            _remove(path, held)


def find_server(home: Path) -> Announcement | None:
    """Return the server of this home; None where none runs, or the file is not to be trusted."""
    try:
        held = os.open(home / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if _is_own(held) and _is_locked(held):
            return _read(os.read(held, LONGEST))
        return None
    finally:
        os.close(held)


def where_to_reach(sock: socket.socket) -> str:
    """Return the URL of a listening socket as numbers: no name can lead elsewhere."""
    host, port = sock.getsockname()[:2]
    nearest = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{nearest}]:{port}" if ":" in nearest else f"http://{nearest}:{port}"


@contextmanager
def _written(path: Path, announcement: Announcement) -> Iterator[int]:
    """Write it aside, locked from its first byte on, then let it appear whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held, aside = tempfile.mkstemp(prefix=f".{NAME}.", dir=path.parent)  # readable by us alone
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.write(held, json.dumps(announcement.__dict__).encode())
        os.replace(aside, path)
        yield held
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        os.close(held)


def _remove(path: Path, held: int) -> None:
    """Take it away, if it is still ours."""
    with suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path), os.fstat(held)):
            path.unlink()


def _is_own(held: int) -> bool:
    """Whether it is a plain file that nobody but us can have written or read."""
    about = os.fstat(held)
    private = about.st_uid == os.geteuid() and not about.st_mode & 0o077
    return private and stat.S_ISREG(about.st_mode)


def _is_locked(held: int) -> bool:
    """Whether the process that wrote it lives; the kernel drops its lock with it."""
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _read(data: bytes) -> Announcement | None:
    try:
        said: dict[str, Any] = json.loads(data)
        found = Announcement(**said)
    except (ValueError, TypeError):
        return None
    here = found.machine == socket.gethostname()  # a home may lie on a network disk
    return found if here and _lives(found.process) else None


def _lives(process: int) -> bool:
    """Whether there is such a process: a child of a dead one may still hold its lock."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):  # gone, or the number is another user's by now
        return False
    return True
