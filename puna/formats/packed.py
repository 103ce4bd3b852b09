"""A file of packed weights: matrices exactly as kernels keep them in memory.

In: matrices' bytes and what they were made from, or such a file.  Out: the file,
or views into a map of it.  Trusts no byte; does not know how a matrix is packed.

    page 0          magic, version, where the table lies, the table's SHA-256
    page 1 ...      each matrix from a page's start
    the file's end  the table: JSON, as `Table` says
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from puna.errors import MalformedFileError
from puna.formats.mapping import MappedFile
from puna.formats.strict_json import parse_object

MAGIC: Final = b"PUNAPACK"
VERSION: Final = 1  # raise it when the table or the order of a matrix's rows changes
PAGE: Final = 4096
HEAD: Final = struct.Struct("<8sIQI32s")  # magic, version, table's offset and bytes, its SHA-256
MOST_TABLE_BYTES: Final = 16 << 20
SAMPLED_PAGES: Final = 512
CHUNK_BYTES: Final = 4 << 20  # between two looks at whether to go on

Between = Callable[[], None]
"""Called between chunks; may wait, and raise to end the work."""


@dataclass(frozen=True)
class Source:
    """A file that the matrices were made from."""

    name: str
    size: int
    mtime_ns: int
    sha256: str  # of all of it
    sample: str  # of some of its pages; see `sampled`

    @classmethod
    def of(cls, file: MappedFile, between: Between) -> Source:
        """Read all of a file.  Raises OSError, and what `between` raises."""
        digest = _digest_of(file, between)
        return cls(file.path.name, file.size, file.mtime_ns, digest, _sample_of(file))

    def is_like(self, file: MappedFile) -> bool:
        """Whether a file has the size and time of this one, and the same in the pages looked at."""
        same = (self.name, self.size, self.mtime_ns) == (file.path.name, file.size, file.mtime_ns)
        return same and self.sample == _sample_of(file)


@dataclass(frozen=True)
class Place:
    """Where one matrix lies in the file."""

    type: str
    shape: tuple[int, int]
    offset: int
    size: int


@dataclass(frozen=True)
class Table:
    """What a file holds."""

    layout: str  # the kernels' name for how the matrices are packed
    sources: tuple[Source, ...]
    matrices: Mapping[str, Place]
    sample: str  # of the bytes before the table, its page 0 left out


class PackedFile:
    """An open file of packed weights, mapped and not copied."""

    def __init__(self, path: Path) -> None:
        """Raises ModelFileError for a file that cannot be read or is damaged where that shows."""
        self._file = MappedFile(path)
        self.path = path
        try:
            self.table = self._read_table()
        except (KeyError, TypeError, ValueError, OSError, MalformedFileError) as error:
            self.close()
            raise MalformedFileError(f"{path}: is no file of packed weights: {error}") from error

    def _read_table(self) -> Table:
        magic, version, offset, size, digest = self._read_head()
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError("another magic or version")
        if size > MOST_TABLE_BYTES or offset < PAGE or offset + size != self._file.size:
            raise ValueError("the table is not at its end")
        text = self._file.span(offset, offset + size).tobytes()
        if hashlib.sha256(text).digest() != digest:
            raise ValueError("the table is damaged")
        table = _parse(parse_object(text, str(self.path)))
        for name, place in table.matrices.items():
            _check(name, place, offset)
        with self.path.open("rb") as file:
            if sampled(file, PAGE, offset) != table.sample:
                raise ValueError("the weights are damaged")
        return table

    def _read_head(self) -> tuple[bytes, int, int, int, bytes]:
        if self._file.size < PAGE:
            raise ValueError("it is too short")
        magic, version, offset, size, digest = HEAD.unpack(self._file.span(0, HEAD.size).tobytes())
        return magic, version, offset, size, digest

    def matrix(self, name: str) -> NDArray[np.uint8]:
        """View one matrix's bytes; they stay mapped as long as the view lives."""
        place = self.table.matrices[name]
        return self._file.span(place.offset, place.offset + place.size)

    def close(self) -> None:
        """Drop the map, once no view of it is left."""
        self._file.close()


class PackedWriter:
    """Writes matrices into an empty file, which is of this kind once `finish` is done."""

    def __init__(self, file: IO[bytes], layout: str, between: Between) -> None:
        self._file = file
        self._between = between
        self._layout = layout
        self._matrices: dict[str, Place] = {}
        self._end = PAGE

    def add(
        self, name: str, type_name: str, shape: tuple[int, int], data: NDArray[np.uint8]
    ) -> None:
        """Append a matrix.  Raises OSError, and what `between` raises."""
        assert name not in self._matrices
        self._file.seek(self._end)
        for start in range(0, data.nbytes, CHUNK_BYTES):
            self._file.write(data[start : start + CHUNK_BYTES].data)
            self._between()
        self._matrices[name] = Place(type_name, shape, self._end, data.nbytes)
        self._end += -(-data.nbytes // PAGE) * PAGE

    def finish(self, sources: tuple[Source, ...]) -> None:
        """Write the table and what points at it, and see everything onto the disk."""
        self._file.truncate(self._end)
        self._file.flush()
        sample = sampled(self._file, PAGE, self._end)
        table = Table(self._layout, sources, self._matrices, sample)
        text = json.dumps(asdict(table)).encode()
        self._file.seek(self._end)
        self._file.write(text)
        self._file.seek(0)
        digest = hashlib.sha256(text).digest()
        self._file.write(HEAD.pack(MAGIC, VERSION, self._end, len(text), digest))
        self._file.flush()
        os.fsync(self._file.fileno())


def sampled(file: IO[bytes], start: int, stop: int) -> str:
    """Hash the length and up to 512 evenly spread pages of [start, stop), both ends among them.

    Reads them instead of looking at a map, where each page would bring a large folio into this
    process's memory.
    """
    pages = -(-(stop - start) // PAGE)
    places = np.linspace(0, max(0, pages - 1), SAMPLED_PAGES).astype(np.int64)
    digest = hashlib.sha256(str(stop - start).encode())
    for page in sorted(set(places.tolist())):  # np.unique imports numpy.ma, a start's 0.04 s
        begin = start + page * PAGE
        digest.update(os.pread(file.fileno(), min(PAGE, stop - begin), begin))
    return digest.hexdigest()


def _digest_of(file: MappedFile, between: Between) -> str:
    """Hash all of a file, read beside the map."""
    digest = hashlib.sha256()
    with file.path.open("rb", buffering=0) as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
            between()
    return digest.hexdigest()


def _sample_of(file: MappedFile) -> str:
    with file.path.open("rb") as opened:
        return sampled(opened, 0, file.size)


def _parse(table: dict[str, Any]) -> Table:
    places = {name: _place(**entry) for name, entry in table["matrices"].items()}
    sources = tuple(Source(**entry) for entry in table["sources"])
    return Table(str(table["layout"]), sources, places, str(table["sample"]))


def _place(type: str, shape: list[int], offset: int, size: int) -> Place:
    rows, columns = shape
    return Place(str(type), (int(rows), int(columns)), int(offset), int(size))


def _check(name: str, place: Place, end: int) -> None:
    inside = place.offset >= PAGE and place.size > 0 and place.offset + place.size <= end
    if not inside or place.offset % PAGE or min(place.shape) < 1:
        raise ValueError(f"matrix {name!r} does not lie inside it")
