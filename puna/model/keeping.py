"""The writing of packed weights while a model is loaded for the first time.

In: matrices as they are packed.  Out: a file of them under its own name once it is
whole and on the disk.  Never stands in the loading's way: what goes wrong costs one
line of warning.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from puna.errors import ModelFileError
from puna.formats.checkpoint import Checkpoint, Tensor
from puna.formats.packed import PackedWriter, Source
from puna.kernels import Matrix
from puna.model.weights import Packer, RowOrder, TakeMatrix, packing

PARTIAL = ".partial"
ROOM = 1.1  # a packed file is a little larger than its source

log = logging.getLogger("puna")


class Keeping:
    """One file in the making; a context manager, and without an error inside it the file stays.

    `places` are paths by preference.  A process that is killed leaves a partial file, which the
    next one takes over; while one process writes, others do without.
    """

    def __init__(self, places: list[Path], checkpoint: Checkpoint, layout: str) -> None:
        self._places = places
        self._checkpoint = checkpoint
        self._layout = layout
        self._writer: PackedWriter | None = None
        self._finished = False
        self._stack = ExitStack()

    def taking(self, kernels: Packer) -> TakeMatrix:
        """Take matrices by packing them, and keep each."""
        pack = packing(kernels)

        def take(tensor: Tensor, row_order: RowOrder | None) -> Matrix:
            matrix = pack(tensor, row_order)
            if self._writer is not None:
                rows, columns = tensor.shape
                packed = kernels.packed(matrix)
                with self._warned():
                    self._writer.add(tensor.name, tensor.type.name, (rows, columns), packed)
            return matrix

        return take

    def __enter__(self) -> Keeping:
        with self._warned():
            self._path, file = self._open()
            self._stack.enter_context(file)
            self._stack.callback(self._drop_partial)
            _check_room(file, self._checkpoint.file_bytes)
            self._sources = self._read_sources()
            self._writer = PackedWriter(file, self._layout)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if self._writer is not None and kind is None:
                with self._warned():
                    self._finish(self._writer)

    def _open(self) -> tuple[Path, IO[bytes]]:
        """Open an empty file beside the model, or if that cannot be, in the spare folder."""
        beside, spare = self._places
        try:
            return beside, _locked(partial(beside))
        except OSError:
            spare.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return spare, _locked(partial(spare))

    def _read_sources(self) -> list[Future[Source]]:
        """Hash the sources meanwhile, without the interpreter lock."""
        pool = ThreadPoolExecutor(1, "puna-hash")
        self._stack.callback(pool.shutdown, cancel_futures=True)
        return [pool.submit(Source.of, file) for file in self._checkpoint.weight_files]

    def _finish(self, writer: PackedWriter) -> None:
        writer.finish(tuple(source.result() for source in self._sources))
        self._checkpoint.check_unchanged()
        os.replace(partial(self._path), self._path)
        self._finished = True
        self._remove_others()

    def _drop_partial(self) -> None:
        if not self._finished:  # else the name may be another process's by now
            _remove(partial(self._path))

    def _remove_others(self) -> None:
        """Files of this model in layouts that are no longer used."""
        stem = self._path.name.removesuffix(self._layout)
        for other in self._path.parent.glob(f"{stem}*"):
            if other != self._path and other.suffix != PARTIAL:
                _remove(other)

    @contextmanager
    def _warned(self) -> Iterator[None]:
        """Say once what went wrong, and write no more."""
        try:
            yield
        except _BeingWrittenError:
            self._writer = None  # another process does it: nothing to say
        except (OSError, ModelFileError) as error:
            self._writer = None
            log.warning(
                "puna: the packed weights are not kept (%s), so the next start packs them again; "
                "PUNA_PACKED_CACHE=off does without",
                getattr(error, "strerror", None) or error,
            )


class _BeingWrittenError(Exception):
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


def _check_room(file: IO[bytes], source_bytes: int) -> None:
    """Raise OSError where the disk has no room for a file as large as the source."""
    disk = os.fstatvfs(file.fileno())
    free, needed = disk.f_bavail * disk.f_frsize, source_bytes * ROOM
    if free < needed:
        raise OSError(f"they take {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} are free")


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
