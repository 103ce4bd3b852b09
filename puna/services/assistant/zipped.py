"""An archive that strangers may have zipped, opened without trust: nothing is unpacked to a disk.

In: a file of a zip archive.  Out: members by their exact names, each read up to a bound.
Does not know what the members are.  Format: PKWARE's APPNOTE 6.3.10, sections 4.3.6 to 4.3.16.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from puna.errors import InvalidParameterError

MOST_MEMBERS = 20_000
DIRECTORY_BYTES = 8 * 2**20  # read whole when it is opened
_END = struct.Struct("<4s4H2LH")  # the record that ends an archive, without a comment
_END_MARK, _LOCATOR_MARK = b"PK\x05\x06", b"PK\x06\x07"
_LOCATOR_BYTES = 20  # of zip64, in front of it: such archives have no bound that is worth knowing
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    struct.error,
)


def is_zip(file: IO[bytes]) -> bool:
    """Say whether it begins as an archive does; leaves the file at its beginning."""
    file.seek(0)
    begins = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    return begins


class Zipped:
    """An open archive whose members take at most `most_bytes` all together."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        _check_end(file)
        with _named_faults():
            self._archive = zipfile.ZipFile(file)
            members = [one for one in self._archive.infolist() if not one.is_dir()]
        self._members = {one.filename: one for one in members}
        if len(self._members) < len(members):
            raise refused("two of its members have one name")
        if any(one.flag_bits & _ENCRYPTED for one in members):
            raise refused("it is encrypted; open it and zip it anew without a password")
        if any(one.compress_type not in _METHODS for one in members):
            raise refused("it is packed in a way that Puna does not read; use plain zip")
        self._left = most_bytes
        if sum(one.file_size for one in members) > most_bytes:
            raise _too_large(most_bytes)

    @property
    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Return how many bytes a member says it has; InvalidParameterError if it is not there."""
        return self._member(name).file_size

    def read(self, name: str, most: int) -> bytes:
        """Return a member's bytes, never more than it says, than `most`, or than are left."""
        member = self._member(name)
        if member.file_size > min(most, self._left):
            raise _too_large(most, name)
        with _named_faults(name), self._archive.open(member) as opened:
            data = opened.read(member.file_size + 1)
            opened.read(1)  # the end, where the checksum is compared
        if len(data) != member.file_size:
            raise refused(f"{name[:200]!r} has not the length that it says")
        self._left -= len(data)
        return data

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise refused(f"{name[:200]!r} is not in it")
        return self._members[name]


def refused(fault: str) -> InvalidParameterError:
    """Return the error that says what is wrong with an archive."""
    return InvalidParameterError(f"the archive cannot be brought in: {fault}; nothing was kept")


def _check_end(file: IO[bytes]) -> None:
    """See how large the directory is before anybody reads it."""
    length = file.seek(0, 2)
    file.seek(max(0, length - _END.size - _LOCATOR_BYTES))
    tail = file.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != _END_MARK:
        raise refused("it is cut off, or no plain zip archive")
    _, _, _, _, members, directory_bytes, _, comment = _END.unpack(tail[-_END.size :])
    if comment or _LOCATOR_MARK in tail[: -_END.size] or members > MOST_MEMBERS:
        raise refused(f"it has more than {MOST_MEMBERS:,} members, a comment, or is of zip64")
    if directory_bytes > DIRECTORY_BYTES:
        raise refused("its list of members is too long")


def _too_large(most: int, name: str = "all of it") -> InvalidParameterError:
    return refused(f"unpacked, {name[:200]!r} takes more than {most >> 20} MiB")


@contextmanager
def _named_faults(name: str = "") -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        where = f"{name[:200]!r} in it" if name else "it"
        raise refused(f"{where} is damaged ({type(error).__name__})") from None
