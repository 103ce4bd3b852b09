"""A file's bytes, mapped read-only.

In: a path.  Out: its size and views of checked spans of it.  Does not know
what the bytes mean.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from puna.errors import MalformedFileError, ModelFileError


class MappedFile:
    """One read-only memory map over a whole regular file."""

    def __init__(self, path: Path) -> None:
        """Raises ModelFileError if the file cannot be read, MalformedFileError if it is empty."""
        self.path = path
        try:
            with path.open("rb") as file:
                self._stat = os.fstat(file.fileno())
                self.map = _map(path, file.fileno(), self._stat.st_size)
        except OSError as error:
            raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}") from error
        self.size = len(self.map)
        self._bytes: NDArray[np.uint8] = np.frombuffer(self.map, dtype=np.uint8)

    @property
    def mtime_ns(self) -> int:
        """When the file was last written, as it was opened."""
        return self._stat.st_mtime_ns

    def sha256(self) -> str:
        """Hash the whole file, in hexadecimal.  Reads it beside the map.  Raises OSError."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def span(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Bytes [start, stop) without a copy; whoever asks has checked the bounds."""
        assert 0 <= start <= stop <= self.size
        return self._bytes[start:stop]

    def release(self, view: NDArray[np.uint8]) -> None:
        """Give back the memory behind a span of this file; it is read anew if asked for again."""
        start = view.ctypes.data - self._bytes.ctypes.data
        if not 0 <= start < self.size:
            return  # a span of another file
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (start + view.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
        if length > 0:
            self.map.madvise(mmap.MADV_DONTNEED, first, length)

    def check_unchanged(self) -> None:
        """Raise if the file was truncated or rewritten since it was mapped.

        Reading a page that a truncation took away kills the process, so a
        long reading asks first.
        """
        if self.map.size() != self.size or self._rewritten():
            raise ModelFileError(
                f"{self.path}: changed while in use: {self.size:,} bytes when opened, "
                f"{self.map.size():,} now; open it again"
            )

    def _rewritten(self) -> bool:
        try:
            now = self.path.stat()
        except OSError:
            return False  # unlinked: the map keeps the old file alive
        same_file = (now.st_dev, now.st_ino) == (self._stat.st_dev, self._stat.st_ino)
        return same_file and now.st_mtime_ns != self._stat.st_mtime_ns

    def close(self) -> None:
        """Drop the map, at once or, if views of it are still held, with the last of them."""
        self._bytes = np.empty(0, dtype=np.uint8)
        with suppress(BufferError):  # if a tensor's view is still held
            self.map.close()


def _map(path: Path, descriptor: int, size: int) -> mmap.mmap:
    if size == 0:
        raise MalformedFileError(f"{path}: is empty; download it again")
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
