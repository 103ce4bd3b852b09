"""Whose assistant is asked: the key of an Authorization header in, that person's visit out.

A key is a person's own, or the secret of the server's own machine.  Cookies count for nothing
here: what no page of another site can send needs no guard against such pages.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials

from puna.accounts import Caller, LocalKey, SignedIn
from puna.accounts.local_key import PREFIX
from puna.errors import AuthenticationError, ForbiddenError, NotFoundError
from puna.server.auth import NO_KEY, bearer
from puna.server.services import Services
from puna.server.web.house import House
from puna.server.web.visit import Visit
from puna.server.web.visitor import Visitor, visitor_from

NOBODYS = (
    "this key opens nobody's conversations; `puna keys create NAME --user ADDRESS` makes one that "
    "opens a person's own"
)


async def person(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Visit:
    """Let in whoever has a person's key."""
    house: House | None = request.app.state.house
    if house is None:
        raise NotFoundError("this server has no assistant")
    if given is None:
        raise AuthenticationError(NO_KEY)
    services: Services = request.app.state.services
    visitor = await asyncio.to_thread(_visitor, request, services, house, given.credentials)
    request.state.caller = visitor.caller
    return Visit(request, house, visitor)


Person = Annotated[Visit, Depends(person)]


def _visitor(request: Request, services: Services, house: House, secret: str) -> Visitor:
    if secret.startswith(PREFIX):
        return _neighbour(request, services.local_key, secret)
    caller = services.keys.verify(secret)
    caller.check_scope("chat")
    return _holder(house, caller)


def _neighbour(request: Request, local_key: LocalKey, secret: str) -> Visitor:
    """The owner, on this very machine: elsewhere the secret is stolen."""
    if not _is_here(request):
        raise AuthenticationError("this key is for the server's own machine alone")
    return visitor_from(local_key.verify(secret))


def _holder(house: House, caller: Caller) -> Visitor:
    if caller.user_id is None:
        raise ForbiddenError(NOBODYS)
    return visitor_from(SignedIn(house.users.get(caller.user_id), caller))


def _is_here(request: Request) -> bool:
    """Whether the other end of the socket is this machine, as its addresses say."""
    if request.client is None:
        return False
    own: tuple[str, int | None] = request.scope.get("server") or ("", None)
    return request.client.host == own[0] or ip_address(request.client.host).is_loopback
