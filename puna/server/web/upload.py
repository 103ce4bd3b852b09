"""A file on its way in: counted as it comes, kept on the disk, read once it is whole.

In: a request whose body is a file's bytes.  Out: the file as the assistant keeps it, or a refusal
that names the limit.  Memory holds two whole files at most, however many arrive.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from puna.server.web.house import House
from puna.server.web.refused import RefusedError
from puna.server.web.words import mebibytes
from puna.services.assistant.files import File
from puna.services.assistant.owner import Owner

IN_MEMORY_BYTES = 256 * 2**10  # what is smaller never touches the disk


async def uploaded(house: House, owner: Owner, name: str, request: Request) -> File:
    """Take in a whole file and keep it; RefusedError (413) where it is too long."""
    files, folder = house.assistant.files, house.upload_folder
    most = files.limits.reading.file_bytes
    async with received(request, most, folder) as file, house.reading:
        data = await run_in_threadpool(file.read)
        return await run_in_threadpool(files.add, owner, name, data)


@asynccontextmanager
async def received(request: Request, most: int, folder: str | None) -> AsyncIterator[IO[bytes]]:
    """Write the body to a file without a name, which is gone with the process at the latest."""
    _check(int(request.headers.get("content-length", "0")), most)
    length = 0
    with SpooledTemporaryFile(IN_MEMORY_BYTES, dir=folder) as file:
        async for part in request.stream():
            length += len(part)
            _check(length, most)
            file.write(part)
        file.seek(0)
        yield file


def _check(length: int, most: int) -> None:
    if length > most:
        raise RefusedError(
            413, f"This file is larger than {mebibytes(most)}, the most that a file may have here."
        )
