"""What stands before every page: a strict policy for its content, no foreign hand on a form.

Wraps the site as plain ASGI, so that streams pass through untouched.  Knows no session: whoever
fails here is refused before a cookie is read.  The application's own guard, around all this,
has looked at the host, and adds the headers that every answer has.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """The site behind its check."""

    def __init__(self, site: ASGIApp) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and dress the answer."""
        if scope["type"] != "http":
            await self._site(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_ours = scope["method"] in SAFE_METHODS or _comes_from_our_page(scope, headers)
        await (self._site if is_ours else _refusal())(scope, receive, _dressing(send))


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


def _refusal() -> ASGIApp:
    return JSONResponse({"error": {"message": "Only Puna's own pages may do this."}}, 403)


def _dressing(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            page = headers.get("content-type", "").startswith("text/html")
            headers["Content-Security-Policy"] = PAGE_POLICY if page else DATA_POLICY
        await send(message)

    return dressed
