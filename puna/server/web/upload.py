"""A file on its way in: spooled, read once it is whole, kept.

In: a request whose body is a file's bytes.  Out: the file as the assistant keeps it, or a refusal
that names the limit.  Memory holds two whole files at most, however many arrive.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from puna.server.web.house import House
from puna.services.assistant.files import File
from puna.services.assistant.owner import Owner


async def uploaded(house: House, owner: Owner, name: str, request: Request) -> File:
    """Take in a whole file and keep it; TooLargeError or RoomError where it is too long."""
    files = house.assistant.files
    most = files.limits.reading.file_bytes
    await run_in_threadpool(files.check_room, owner)
    async with house.spool.received(request, owner.user_id, most) as file, house.reading:
        data = await run_in_threadpool(file.read)
        return await run_in_threadpool(files.add, owner, name, data)
