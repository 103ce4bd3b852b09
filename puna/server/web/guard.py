"""What stands before every page: strict headers, own hosts only, no foreign hand on a form.

Wraps the site as plain ASGI, so that streams pass through untouched.  Knows
no session: whoever fails here is refused before a cookie is read.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.server.headers import ON_EVERY_ANSWER, OVER_TLS
from puna.server.hosts import Hosts

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; media-src 'self' blob:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
BODY_TYPES = ("application/json", "application/octet-stream")  # neither can a form send


class Guard:
    """The site behind its checks; `hosts` are the names it answers to, "*" for any."""

    def __init__(self, site: ASGIApp, hosts: Collection[str]) -> None:
        self._site = site
        self._hosts = Hosts(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and dress the answer."""
        if scope["type"] != "http":
            await self._site(scope, receive, send)
            return
        refusal = self._refusal(scope)
        answer = self._site if refusal is None else _refused(*refusal)
        await answer(scope, receive, _dressing(send, tls=scope["scheme"] == "https"))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if not self._hosts.has(headers.get("host", "")):
            return 421, "This server does not answer to that name; add it to its hosts."
        if scope["method"] not in SAFE_METHODS and not _comes_from_our_page(scope, headers):
            return 403, "Only Puna's own pages may do this."
        return None


def _comes_from_our_page(scope: Scope, headers: Headers) -> bool:
    """Whether our own header is there, which a foreign page cannot send, and nothing denies it."""
    origin = headers.get("origin")
    own = f"{scope['scheme']}://{headers.get('host', '')}"
    return (
        headers.get("x-puna") == "page"
        and origin in (None, own)
        and headers.get("sec-fetch-site") in (None, "same-origin")
        and _is_data(headers)
    )


def _is_data(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return media_type in BODY_TYPES or (empty and not media_type)


def _refused(status: int, message: str) -> ASGIApp:
    return JSONResponse({"error": {"message": message}}, status)


def _dressing(send: Send, *, tls: bool) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            _dress(MutableHeaders(scope=message), tls)
        await send(message)

    return dressed


def _dress(headers: MutableHeaders, tls: bool) -> None:
    headers.update(ON_EVERY_ANSWER)
    page = headers.get("content-type", "").startswith("text/html")
    headers["Content-Security-Policy"] = PAGE_POLICY if page else DATA_POLICY
    headers.setdefault("Cache-Control", "no-store")
    if tls:
        headers.update(OVER_TLS)
