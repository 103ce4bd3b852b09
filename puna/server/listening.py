"""The socket's side: clients that dawdle are cut, and the end of the server is orderly.

In: an application and an address.  Out: a running uvicorn.  Knows no routes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from puna.server.failures import BAD, Failure
from puna.server.settings import ServerSettings

LAST_BYTES_S = 2.0  # for connections to close once every answer is settled


def config_for(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """Return uvicorn's settings for the application."""
    settings: ServerSettings = app.state.settings
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_with(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.header_s),
        timeout_graceful_shutdown=int(LAST_BYTES_S),
    )


class Server(uvicorn.Server):
    """Told to end, it lets answers under way finish first; told twice, it ends them."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(config_for(app, host, port))
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close the sockets."""
        await self._app.state.desk.drain()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second signal ends what still runs."""
        if self.should_exit:
            self._app.state.desk.hurry()
        super().handle_exit(signal.SIGTERM if self.should_exit else sig, frame)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


def protocol_with(settings: ServerSettings) -> type[HttpToolsProtocol]:
    """Return HTTP/1.1 with deadlines and limits for what a client sends."""

    class PatientProtocol(HttpToolsProtocol):
        """One connection."""

        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            self._deadline: asyncio.TimerHandle | None = None
            self._header_bytes = 0
            self._unread = 0  # bytes that came since the last whole header
            self._in_header = True

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect(settings.header_s)

        def connection_lost(self, exc: Exception | None) -> None:
            self._expect(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._in_header and self._deadline is None:
                self._expect(settings.header_s)
            self._unread += len(data)
            super().data_received(data)
            if self._in_header and self._unread > settings.header_bytes:
                self._refuse(431, f"the header has more than {settings.header_bytes} bytes")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_header, self._header_bytes = True, 0

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            self._count(len(url))

        def on_header(self, name: bytes, value: bytes) -> None:
            super().on_header(name, value)
            self._count(len(name) + len(value) + 4)
            if len(self.headers) > settings.headers:
                self._refuse(431, f"the header has more than {settings.headers} fields")

        def on_headers_complete(self) -> None:
            self._in_header, self._unread = False, 0
            self._expect(settings.body_s)
            if not self.transport.is_closing():
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self.transport.is_closing():
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._expect(None)
            self._in_header, self._unread = True, 0
            if not self.transport.is_closing():
                super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, msg)

        def _count(self, size: int) -> None:
            self._header_bytes += size
            if self._header_bytes > settings.header_bytes:
                self._refuse(431, f"the header has more than {settings.header_bytes} bytes")

        def _expect(self, patience_s: float | None) -> None:
            """Cut the connection unless what is awaited comes in time."""
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = (
                None if patience_s is None else self.loop.call_later(patience_s, self._cut)
            )

        def _cut(self) -> None:
            if self.cycle is not None and self.cycle.response_started:
                self.transport.close()
            else:
                self._refuse(408, "the request did not arrive in time")

        def _refuse(self, status: int, message: str) -> None:
            if self.transport.is_closing():
                return
            body = Failure(status, message, BAD).response().body
            head = (
                f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + bytes(body))
            self.transport.close()

    return PatientProtocol


_PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
