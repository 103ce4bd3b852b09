"""The spool: bodies on their way in, counted as they come, kept on the disk until they are whole.

In: a request whose body is a file's bytes, and whose it is.  Out: the file, or a refusal that names
the limit: of one body, of all that one person sends at once, of the disk.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.requests import Request

from puna.errors import RateLimitError, RoomError, TooLargeError
from puna.server.disk import Disk
from puna.server.web.words import mebibytes

IN_MEMORY_BYTES = 256 * 2**10  # what is smaller never touches the disk
LEAST_BYTES = 2**20  # that any body counts, so that nobody sends thousands of small ones at once
AGAIN_S = 5.0


class Spool:
    """The bodies of one server; belongs to its event loop."""

    def __init__(self, folder: Path | None, disk: Disk, person_bytes: int) -> None:
        self._folder, self._disk, self._person_bytes = folder, disk, person_bytes
        self._held: Counter[str] = Counter()  # bytes by person

    def held(self) -> int:
        """Bytes that are on their way in, everybody's together."""
        return sum(self._held.values())

    @asynccontextmanager
    async def received(self, request: Request, user_id: str, most: int) -> AsyncIterator[IO[bytes]]:
        """Write the body to a file without a name, gone with the process at the latest.

        TooLargeError, RateLimitError or RoomError as soon as a limit is passed.
        """
        declared = int(request.headers.get("content-length", "0"))
        _check(declared, most)
        folder = str(self._folder) if self._folder else None
        with (
            self._share(user_id) as share,
            _full_disk_named(),
            SpooledTemporaryFile(IN_MEMORY_BYTES, dir=folder) as file,
        ):
            share.grow_to(declared)
            self._disk.check(declared)
            length = 0
            async for part in request.stream():
                length += len(part)
                _check(length, most)
                share.grow_to(length)
                self._disk.check()  # others write as well
                file.write(part)
            file.seek(0)
            yield file

    @contextmanager
    def _share(self, user_id: str) -> Iterator[_Share]:
        share = _Share(self._held, user_id, self._person_bytes)
        try:
            share.grow_to(LEAST_BYTES)
            yield share
        finally:
            share.give_back()


class _Share:
    """What one body takes of its person's part."""

    def __init__(self, held: Counter[str], user_id: str, most: int) -> None:
        self._held, self._user_id, self._most = held, user_id, most
        self._bytes = 0

    def grow_to(self, n_bytes: int) -> None:
        """Take so much in all; what is declared is taken before it comes."""
        more = n_bytes - self._bytes
        if more <= 0:
            return
        if self._held[self._user_id] + more > self._most:
            raise RateLimitError(
                f"files of more than {mebibytes(self._most)} are on their way from you at once; "
                "wait until some have arrived",
                AGAIN_S,
            )
        self._held[self._user_id] += more
        self._bytes = n_bytes

    def give_back(self) -> None:
        self._held[self._user_id] -= self._bytes
        if not self._held[self._user_id]:
            del self._held[self._user_id]


def _check(length: int, most: int) -> None:
    if length > most:
        raise TooLargeError(
            f"this file is larger than {mebibytes(most)}, the most that a file may have here"
        )


@contextmanager
def _full_disk_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RoomError("the server's disk is full; whoever runs it can make room there") from error
