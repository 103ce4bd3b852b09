"""One connection: whoever sends or reads too slowly is cut, and the end comes in time.

In: bytes of HTTP/1.1.  Out: uvicorn's requests, within deadlines and limits.
Knows no routes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from puna.server.failures import BAD, SERVER, Failure
from puna.server.reader import Reader
from puna.server.settings import ServerSettings

LAST_BYTES_S = 1.0  # for a connection to close once every answer is settled
LEAST_BODY_BYTES_S = 32 * 2**10  # a file of 32 MiB may come over a phone's connection
PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def protocol_with(settings: ServerSettings) -> type[HttpToolsProtocol]:
    """Return HTTP/1.1 with these limits."""

    class Limited(PatientProtocol):
        limits = settings

    return Limited


class PatientProtocol(HttpToolsProtocol):
    """One connection, and how long it is waited for."""

    limits: ServerSettings
    _reader: Reader

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._unread = 0  # bytes that came since the last whole header
        self._in_header = True
        self._stretch = 0  # bytes of the body since its deadline was set

    # The connection's life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first header."""
        super().connection_made(transport)
        self._reader = Reader(transport, self.limits.send_s)
        self._expect(self.limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._expect(None)
        self._reader.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The kernel takes no more: it is the reader's turn."""
        self._reader.begin()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader has made room for everything."""
        self._reader.end()
        super().resume_writing()

    def shutdown(self) -> None:
        """End soon: every answer is settled, and what has not arrived by now is not awaited."""
        if self._reader.lags:
            self.transport.abort()
        elif self._deadline is not None and self._begun:
            self._refuse(503, "the server is shutting down; try another or again later", SERVER)
        else:
            super().shutdown()
            self.loop.call_later(LAST_BYTES_S, self.transport.abort)

    # A request's arrival

    def data_received(self, data: bytes) -> None:
        """Take what came, as far as a header may go."""
        if self._in_header and self._deadline is None:
            self._expect(self.limits.header_s)
        self._unread += len(data)
        super().data_received(data)
        if self._in_header:
            self._check_header(self._unread)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_header, self._header_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        """Count the address as a part of the header."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field."""
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)
        if len(self.headers) > self.limits.headers:
            self._refuse(431, f"the header has more than {self.limits.headers} fields")

    def on_headers_complete(self) -> None:
        """The header is whole: expect the body."""
        self._in_header, self._unread = False, 0
        self._expect_body()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on; whoever keeps the pace gets time for more."""
        self._stretch += len(body)
        if self._stretch >= LEAST_BODY_BYTES_S * self.limits.body_s:
            self._expect_body()
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: nothing is expected of its client."""
        self._expect(None)
        self._in_header, self._unread = True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in OpenAI's shape."""
        self._refuse(400, msg)

    @property
    def _begun(self) -> bool:
        """Whether some of a request is here, and not all of it."""
        return self._unread > 0 or not self._in_header

    def _count(self, size: int) -> None:
        self._header_bytes += size
        self._check_header(self._header_bytes)

    def _check_header(self, size: int) -> None:
        if size > self.limits.header_bytes:
            self._refuse(431, f"the header has more than {self.limits.header_bytes} bytes")

    def _expect_body(self) -> None:
        self._stretch = 0
        self._expect(self.limits.body_s)

    def _expect(self, patience_s: float | None) -> None:
        """Cut the connection unless what is awaited comes in time."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if patience_s is None else self.loop.call_later(patience_s, self._cut)

    def _cut(self) -> None:
        if self.cycle is not None and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(408, "the request did not arrive in time")

    def _refuse(self, status: int, message: str, type_: str = BAD) -> None:
        if self.transport.is_closing():
            return
        body = Failure(status, message, type_).response().body
        head = (
            f"HTTP/1.1 {status} {PHRASES[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + bytes(body))
        self.transport.close()
