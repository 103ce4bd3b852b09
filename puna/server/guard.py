"""What stands before and after every route: own hosts, bounded bodies, strict headers.

Wraps the application as plain ASGI, so that streams pass through untouched.
Adds to every answer what its caller has left.  Reads no key and no body.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.accounts import Caller
from puna.server.failures import BAD, Failure
from puna.server.headers import ON_EVERY_ANSWER, OVER_TLS
from puna.server.hosts import Hosts
from puna.server.settings import ServerSettings

# One line a request: neither query, nor header, nor body.
log = logging.getLogger("puna.server.access")

# what open pages ask for by themselves: told only where it fails
BY_ITSELF = ("/static/", "/web/console/live")
BAD_FROM = 400

# routes that count their bodies and keep them on disk
FILES = ("/web/files", "/web/import", "/api/v1/files", "/api/v1/import")

EVERYWHERE = {
    **ON_EVERY_ANSWER,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
}

LONGEST_LENGTH = 20  # digits

Left = Callable[[Caller], Awaitable[Mapping[str, str]]]


class Guard:
    """The application behind its checks."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, left: Left) -> None:
        self._app = app
        self._left = left
        self._hosts = Hosts(settings.hosts)
        self._body_bytes = settings.body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with a bounded body and dress the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        headers = Headers(scope=scope)
        dressed = self._dressing(scope, send)
        counted = scope["path"] in FILES
        refusal = self._refusal(headers, counted)
        if refusal is not None:
            await refusal.response()(scope, receive, dressed)
            return
        await self._app(scope, receive if counted else self._bounded(receive), dressed)

    def _refusal(self, headers: Headers, counted: bool) -> Failure | None:
        if not self._hosts.has(headers.get("host", "")):
            message = "the server does not answer to that name; `puna serve --host-name` adds it"
            return Failure(421, message, BAD, "unknown_host")
        length = headers.get("content-length", "0")
        readable = length.isascii() and length.isdecimal() and len(length) < LONGEST_LENGTH
        if not readable or (int(length) > self._body_bytes and not counted):
            return self._too_big()
        return None

    def _too_big(self) -> Failure:
        message = f"the body has more than {self._body_bytes} bytes, the most that is accepted"
        return Failure(413, message, BAD, "body_too_large", headers={"Connection": "close"})

    def _bounded(self, receive: Receive) -> Receive:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._body_bytes:
                raise HTTPException(413, self._too_big().message, {"Connection": "close"})
            return message

        return bounded

    def _dressing(self, scope: Scope, send: Send) -> Send:
        request_id, began = f"req_{secrets.token_hex(12)}", time.monotonic()

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in EVERYWHERE.items():
                    headers.setdefault(name, value)
                headers.setdefault("x-request-id", request_id)
                await self._add_left(scope, headers)
                if scope["scheme"] == "https":
                    headers.update(OVER_TLS)
                spent_ms = (time.monotonic() - began) * 1e3
                what = (scope["method"], scope["path"], message["status"], spent_ms, request_id)
                log.log(_level(scope["path"], message["status"]), "%s %r %d %.0f ms %s", *what)
            await send(message)

        return dressed

    async def _add_left(self, scope: Scope, headers: MutableHeaders) -> None:
        left = scope["state"].get("left")
        caller = scope["state"].get("caller")
        if left is None and caller is not None:
            left = await self._left(caller)
        for name, value in (left or {}).items():
            headers.setdefault(name, value)


def _level(path: str, status: int) -> int:
    return logging.DEBUG if status < BAD_FROM and path.startswith(BY_ITSELF) else logging.INFO
