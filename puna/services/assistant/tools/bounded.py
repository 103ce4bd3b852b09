"""HTTP to a tool server with bounded answers: what does not end is cut.

In: requests of the protocol's client.  Out: responses whose bodies end in an error once they pass
the limit.  Does not know the protocol.  No body is unpacked: a few bytes could hold gigabytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MOST_BODY_BYTES = 8 * 2**20


class Bounded(httpx2.AsyncBaseTransport):
    """A transport that reads at most so many bytes of each response."""

    def __init__(self, most_bytes: int = MOST_BODY_BYTES) -> None:
        # No proxy and no netrc: where the owner's address leads is where it goes.
        self._http = httpx2.AsyncHTTPTransport(trust_env=False)
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response's body is counted as it comes."""
        request.headers["Accept-Encoding"] = "identity"
        response = await self._http.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self._most_bytes)
        response.headers.pop("Content-Encoding", None)
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, most_bytes: int) -> None:
        self._body, self._most_bytes = body, most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most_bytes
        async for part in self._body:
            left -= len(part)
            if left < 0:
                raise httpx2.StreamError(f"its answer is longer than {self._most_bytes >> 20} MiB")
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()
