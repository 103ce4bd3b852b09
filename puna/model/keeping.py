"""The writing of packed weights behind a model that was loaded for the first time.

In: matrices where they lie packed.  Out: a file of them under its own name once it is
whole and on the disk.  Never stands in an answer's way: what goes wrong costs one
line of warning.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread, get_native_id
from time import monotonic
from typing import IO

import numpy as np
from numpy.typing import NDArray

from puna.errors import ModelFileError
from puna.formats.checkpoint import Checkpoint, Tensor
from puna.formats.mapping import MappedFile
from puna.formats.packed import PackedWriter, Source
from puna.kernels import Matrix
from puna.model.weights import Packer, RowOrder, TakeMatrix, packing

PARTIAL = ".partial"
REST = 2.0  # a wait, in times of the work before it
ROOM = 1.1  # a packed file is a little larger than its source

log = logging.getLogger("puna")


class Keeping:
    """One file in the making: collects matrices, then writes them in a thread of its own.

    `places` are paths by preference.  A process that is killed leaves a partial file, which the
    next one takes over; while one process writes, others do without.
    """

    def __init__(self, places: list[Path], checkpoint: Checkpoint, layout: str) -> None:
        self._places = places
        self._sources = checkpoint.weight_files
        self._source_bytes = checkpoint.file_bytes
        self._layout = layout
        self._matrices: list[tuple[Tensor, NDArray[np.uint8]]] = []
        self._ended = Event()
        self._rested_at = 0.0
        self._thread = Thread(target=self._write, name="puna-keeping", daemon=True)

    def taking(self, kernels: Packer) -> TakeMatrix:
        """Take matrices by packing them, and remember where each lies."""
        pack = packing(kernels)

        def take(tensor: Tensor, row_order: RowOrder | None) -> Matrix:
            matrix = pack(tensor, row_order)
            self._matrices.append((tensor, kernels.packed(matrix)))
            return matrix

        return take

    def start(self) -> None:
        """Begin to write; a process that ends earlier leaves nothing half-made."""
        atexit.register(self.close)
        self._thread.start()

    def settle(self) -> None:
        """Wait until the file is whole, or cannot be."""
        self._thread.join()

    def close(self) -> None:
        """End the writing.  The matrices' memory is not looked at again."""
        self._ended.set()
        self._thread.join()
        atexit.unregister(self.close)

    def _write(self) -> None:
        _step_back()
        self._rested_at = monotonic()
        with self._warned(), self._opened() as (path, file):
            _check_room(file, self._source_bytes)
            writer = PackedWriter(file, self._layout, self._rest)
            for tensor, packed in self._matrices:
                rows, columns = tensor.shape
                writer.add(tensor.name, tensor.type.name, (rows, columns), packed)
                os.fdatasync(file.fileno())  # or the end would stand still for all of it
            writer.finish(tuple(Source.of(source, self._rest) for source in self._sources))
            self._rest()
            _check_unchanged(self._sources)
            os.replace(partial(path), path)
            self._remove_others(path)
        self._matrices.clear()

    def _rest(self) -> None:
        """Leave the memory to the answers for longer than this took of it."""
        if self._ended.wait(REST * (monotonic() - self._rested_at)):
            raise _EndedError
        self._rested_at = monotonic()

    @contextmanager
    def _opened(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """Open an empty file, which goes unless it gets its own name."""
        path, file = self._open()
        with file:
            try:
                yield path, file
            except BaseException:
                _remove(partial(path))  # still locked, so still ours
                raise

    def _open(self) -> tuple[Path, IO[bytes]]:
        """Open an empty file beside the model, or if that cannot be, in the spare folder."""
        beside, spare = self._places
        try:
            return beside, _locked(partial(beside))
        except OSError:
            spare.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return spare, _locked(partial(spare))

    def _remove_others(self, path: Path) -> None:
        """Files of this model in layouts that are no longer used."""
        stem = path.name.removesuffix(self._layout)
        for other in path.parent.glob(f"{stem}*"):
            if other != path and other.suffix != PARTIAL:
                _remove(other)

    @contextmanager
    def _warned(self) -> Iterator[None]:
        """Say what went wrong."""
        try:
            yield
        except (_BeingWrittenError, _EndedError):
            pass  # another process does it, or nobody wants it: nothing to say
        except (OSError, ModelFileError) as error:
            log.warning(
                "puna: the packed weights are not kept (%s), so the next start packs them again; "
                "PUNA_PACKED_CACHE=off does without",
                getattr(error, "strerror", None) or error,
            )


class _BeingWrittenError(Exception):
    pass


class _EndedError(Exception):
    pass


def partial(path: Path) -> Path:
    """Where a file lies until it is whole."""
    return path.with_name(path.name + PARTIAL)


def _locked(path: Path) -> IO[bytes]:
    """Open a file that this process alone writes, emptied: a killed one may have left it.

    Raises OSError, and _BeingWrittenError where another process holds it or has just renamed it.
    """
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_mine = os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_mine = False
    if not is_mine:
        file.close()
        raise _BeingWrittenError
    file.truncate(0)
    return file


def _step_back() -> None:
    """Give this thread the lowest priority."""
    with suppress(OSError, AttributeError):  # elsewhere than on Linux threads have none
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 19)


def _check_unchanged(sources: Iterable[MappedFile]) -> None:
    """Raise where a source is no longer what was packed.  Needs no map: it may be closed."""
    for file in sources:
        now = file.path.stat()
        if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns):
            raise ModelFileError(f"{file.path}: changed while in use")


def _check_room(file: IO[bytes], source_bytes: int) -> None:
    """Raise OSError where the disk has no room for a file as large as the source."""
    disk = os.fstatvfs(file.fileno())
    free, needed = disk.f_bavail * disk.f_frsize, source_bytes * ROOM
    if free < needed:
        raise OSError(f"they take {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} are free")


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
