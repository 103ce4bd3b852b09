"""Bodies on their way in: so much from one person at once, so much of the disk, and no more."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from starlette.requests import Request
from starlette.types import Message

from puna.errors import RateLimitError, RoomError, TooLargeError
from puna.server.disk import Disk
from puna.server.web.spool import LEAST_BYTES, Spool

MIB = 2**20
T = TypeVar("T")


def request(*parts: bytes, declared: int | None = None) -> Request:
    """A request whose body comes in these parts."""
    messages = iter(parts)

    async def receive() -> Message:
        part = next(messages, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def spool(folder: Path, *, person_bytes: int = 4 * MIB, spare_bytes: int = 1) -> Spool:
    return Spool(folder, Disk([folder], spare_bytes), person_bytes)


async def taken(spool: Spool, wanted: Request, most: int = 3 * MIB, user: str = "ann") -> bytes:
    async with spool.received(wanted, user, most) as file:
        return file.read()


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: where a browser was tested before, this one has a loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_a_body_arrives_whole(tmp_path: Path) -> None:
    parts = [bytes([n]) * 300_000 for n in range(5)]
    assert in_a_loop(taken(spool(tmp_path), request(*parts))) == b"".join(parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("declared", [None, 3 * MIB + 1])
def test_one_that_is_too_long_is_refused(tmp_path: Path, declared: int | None) -> None:
    too_long = request(*[b"x" * MIB] * 4, declared=declared)
    with pytest.raises(TooLargeError, match="3 MiB"):
        in_a_loop(taken(spool(tmp_path), too_long))


@pytest.mark.parametrize("declared", [None, 2 * MIB])
def test_one_person_sends_so_much_at_once(tmp_path: Path, declared: int | None) -> None:
    """Also where nothing is declared; another's part is another's, and what has come is free."""
    held = spool(tmp_path)
    parts = [b"x" * (2 * MIB)]

    async def main() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(2):
                body = request(*parts, declared=declared)
                await stack.enter_async_context(held.received(body, "ann", 3 * MIB))
            with pytest.raises(RateLimitError, match="4 MiB") as refused:
                await taken(held, request(*parts, declared=declared))
            assert refused.value.retry_after_s
            await taken(held, request(*parts, declared=declared), user="bob")
        await taken(held, request(*parts, declared=declared))

    in_a_loop(main())


def test_small_ones_count_as_well(tmp_path: Path) -> None:
    held = spool(tmp_path)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(4 * MIB // LEAST_BYTES):
                await stack.enter_async_context(held.received(request(b"x"), "ann", MIB))
            with pytest.raises(RateLimitError):
                await taken(held, request(b"x"))

    in_a_loop(main())


def test_what_breaks_off_is_given_back(tmp_path: Path) -> None:
    held = spool(tmp_path)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        raise ConnectionError

    class Broken(Request):
        def stream(self) -> AsyncIterator[bytes]:  # type: ignore[override]
            return broken()

    async def main() -> None:
        for _ in range(10):
            wanted = Broken({"type": "http", "method": "POST", "headers": []})
            with pytest.raises(ConnectionError):
                await taken(held, wanted)
        await taken(held, request(b"x" * MIB))

    in_a_loop(main())


def refusals(folder: Path, bodies: Sequence[Request]) -> int:
    full = spool(folder, spare_bytes=2**62)
    count = 0
    for body in bodies:
        with pytest.raises(RoomError, match="disk is almost full"):
            in_a_loop(taken(full, body))
        count += 1
    return count


def test_a_disk_that_is_almost_full_takes_nothing(tmp_path: Path) -> None:
    assert refusals(tmp_path, [request(b"x"), request(b"x" * MIB, declared=MIB)]) == 2


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, RoomError), (errno.EIO, OSError)])
def test_a_disk_that_fills_up_meanwhile_says_so(
    tmp_path: Path, code: int, kind: type[Exception]
) -> None:
    held = spool(tmp_path)

    async def main() -> None:
        async with held.received(request(b"x"), "ann", MIB):
            raise OSError(code, "as the disk says")

    with pytest.raises(kind):
        in_a_loop(main())
