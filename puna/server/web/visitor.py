"""Who looks at the page: a session's cookie in, a person out.

Writes and drops the cookie.  Over plain HTTP it has another name, since
`__Host-` is promised to secure connections alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from puna.accounts import Caller, SignedIn
from puna.errors import AuthenticationError
from puna.server.web.house import House

SECURE_COOKIE, PLAIN_COOKIE = "__Host-puna", "puna_session"
LASTS_S = 7 * 86_400


@dataclass(frozen=True)
class Visitor:
    """A person who is signed in, and what they may ask as."""

    user_id: str
    tenant_id: str
    name: str
    email: str
    owner: bool
    caller: Caller


def visitor_of(request: Request, house: House) -> Visitor | None:
    """Who this is; None for a stranger."""
    token = request.cookies.get(cookie_name(request))
    if not token:
        return None
    try:
        return visitor_from(house.sessions.verify(token))
    except AuthenticationError:
        return None


def cookie_name(request: Request) -> str:
    """Which cookie holds the session here."""
    return SECURE_COOKIE if is_secure(request) else PLAIN_COOKIE


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS to us, or to the proxy that the server trusts."""
    return request.url.scheme == "https"


def open_session(request: Request, response: Response, house: House, user_id: str) -> None:
    """Sign in: a new token, and whatever was there before is worth nothing."""
    _end(request, house)
    owner = house.users.get(user_id).role == "owner"
    response.set_cookie(
        cookie_name(request),
        house.sessions.create(user_id),
        max_age=LASTS_S,
        httponly=True,
        secure=is_secure(request),
        samesite="strict" if owner else "lax",
        path="/",
    )


def close_session(request: Request, response: Response, house: House) -> None:
    """Sign this browser out."""
    _end(request, house)
    name, secure = cookie_name(request), is_secure(request)
    response.delete_cookie(name, path="/", secure=secure, httponly=True)


def _end(request: Request, house: House) -> None:
    token = request.cookies.get(cookie_name(request))
    if token:
        house.sessions.end(token)


def visitor_from(signed_in: SignedIn) -> Visitor:
    """Who has signed in, in the page's words."""
    user = signed_in.user
    owner = user.role == "owner"
    return Visitor(user.id, user.tenant_id, user.name, user.email, owner, signed_in.caller)
