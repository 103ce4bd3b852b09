"""A position in a GGUF file that never leaves it.

In: a mapped file.  Out: numbers, strings and bytes, each step checked against
the end of the file.  Does not know which of them comes next.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NoReturn

from puna.errors import MalformedFileError
from puna.formats.mapping import MappedFile

MAX_STRING_BYTES: Final = 64 << 20

U32: Final = struct.Struct("<I")
U64: Final = struct.Struct("<Q")


class Cursor:
    """Reads forward; `what` names the thing read, for the error if it is not there."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.position = 0

    def fail(self, what: str) -> NoReturn:
        """Raise MalformedFileError about this place."""
        raise MalformedFileError(
            f"{self.file.path}: not a sound GGUF file: {what} (near byte {self.position:,}); "
            "download it again"
        )

    def number(self, form: struct.Struct, what: str) -> Any:
        """The one number that `form` describes."""
        try:
            (value,) = form.unpack_from(self.file.map, self.position)
        except struct.error:
            self.fail(f"it ends inside {what}")
        self.position += form.size
        return value

    def take(self, n_bytes: int, what: str) -> bytes:
        """A copy of the next `n_bytes`."""
        stop = self.position + n_bytes
        if stop > self.file.size:
            self.fail(f"{what} claims {n_bytes:,} bytes, more than the file has left")
        taken = self.file.map[self.position : stop]
        self.position = stop
        return taken

    def string(self, what: str, max_bytes: int = MAX_STRING_BYTES) -> str:
        """A length in 64 bits, then as many bytes of UTF-8."""
        n_bytes = self.number(U64, what)
        if n_bytes > max_bytes:
            self.fail(f"{what} claims {n_bytes:,} bytes, over the limit of {max_bytes:,}")
        try:
            return self.take(n_bytes, what).decode()
        except UnicodeDecodeError:
            self.fail(f"{what} is not UTF-8 text")

    def strings(self, count: int, what: str) -> list[str]:
        """`count` strings in one loop.

        A vocabulary of 128k tokens and 280k merges comes through here, so the
        loop makes no call that it can spare.
        """
        data, size, position = self.file.map, self.file.size, self.position
        unpack = U64.unpack_from
        texts: list[str] = []
        try:
            for _ in range(count):
                start = position + 8
                position = start + unpack(data, position)[0]
                if position > size or position - start > MAX_STRING_BYTES:
                    self.fail(f"string {len(texts):,} of {what} is longer than it may be")
                texts.append(data[start:position].decode())
        except struct.error:
            self.fail(f"it ends inside {what}")
        except UnicodeDecodeError:
            self.fail(f"string {len(texts):,} of {what} is not UTF-8 text")
        self.position = position
        return texts

    def check_count(self, count: int, limit: int, least_bytes: int, what: str) -> None:
        """Refuse a count before anything is allocated for it: each item has a least size."""
        if count > limit:
            self.fail(f"it claims {count:,} {what}, over the limit of {limit:,}")
        if count * least_bytes > self.file.size - self.position:
            self.fail(f"it claims {count:,} {what}, more than fit in what is left of the file")
