"""What requests under way have taken so far, kept where a killed process cannot lose it.

In: a request's count, before what it counts is delivered.  Out: after the process died, all that
it had counted.  A file mapped into memory: noting costs no write, and the kernel keeps it when the
process is killed.  A power cut may lose it; then the ledger's own counts are a second old.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from puna.chat import Usage

_SLOT = struct.Struct("=QQQ64s")  # prompt, cached, completion, the admission's id
_FREE = bytes(64)


class Counts:
    """So many requests' counts at most, in a file of this process's own or in plain memory."""

    def __init__(self, most: int, folder: Path | None = None) -> None:
        self._folder = folder
        self._file, self._path = -1, Path()  # plain memory
        if folder is not None:
            self._file, self._path = _make(folder, most * _SLOT.size)
        self._map = mmap.mmap(self._file, most * _SLOT.size)
        self._free = [number * _SLOT.size for number in reversed(range(most))]
        self._places: dict[str, int] = {}  # by admission id

    def note(self, admission_id: str, usage: Usage) -> None:
        """Keep what the request has taken by now; less than before counts for nothing."""
        place = self._places.get(admission_id)
        if place is None:
            place = self._places[admission_id] = self._free.pop()
        elif self._reached(place) >= (usage.completion_tokens, usage.prompt_tokens):
            return
        counted = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
        _SLOT.pack_into(self._map, place, *counted, admission_id.encode())

    def _reached(self, place: int) -> tuple[int, int]:
        """How far a count is: an embedding's grows in its prompt alone."""
        prompt, _, completion, _ = _SLOT.unpack_from(self._map, place)
        return completion, prompt

    def forget(self, admission_id: str) -> None:
        """The request is settled."""
        place = self._places.pop(admission_id, None)
        if place is not None:
            _SLOT.pack_into(self._map, place, 0, 0, 0, _FREE)
            self._free.append(place)

    def left_behind(self) -> Generator[dict[str, Usage], None, None]:
        """Yield what each killed process of this machine had counted; it is dropped afterwards."""
        for path in [] if self._folder is None else _files(self._folder):
            with suppress(OSError), path.open("rb") as file:  # another drops it or lives
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.name.startswith(_boot()):  # else its last pages may never have got there
                    yield dict(_read(file.read()))
                path.unlink()

    def close(self) -> None:
        """Everything is settled."""
        self._map.close()
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._file)


def _make(folder: Path, size: int) -> tuple[int, Path]:
    """Make a file that is locked as long as the process lives."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{_boot()}-{secrets.token_hex(8)}.counts"
    with _alone(folder):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
    os.posix_fallocate(file, 0, size)  # a full disk is met here, not in the midst of an answer
    return file, path


def _files(folder: Path) -> list[Path]:
    """Return the files of all processes: of one that lives, only once it is locked."""
    with _alone(folder):
        return sorted(folder.iterdir())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody make or list files meanwhile."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read(slots: bytes) -> Iterator[tuple[str, Usage]]:
    """Yield what is counted; a process that was killed at its start may have left half a slot."""
    whole = slots[: len(slots) // _SLOT.size * _SLOT.size]
    for prompt, cached, completion, name in _SLOT.iter_unpack(whole):
        if name != _FREE:
            yield name.rstrip(b"\0").decode(), Usage(prompt, completion, min(cached, prompt))
