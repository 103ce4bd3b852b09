"""Who asks: the key of an Authorization header in, a caller out.

A key is accepted from that header alone: never from a cookie, an address or a
body.  Every request is checked against the database, so a revoked key is
refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from puna.accounts import Caller
from puna.errors import AuthenticationError

bearer = HTTPBearer(
    auto_error=False, scheme_name="API key", description="`Authorization: Bearer puna_sk_…`"
)
NO_KEY = (
    "You didn't provide an API key. Send it in the header `Authorization: Bearer puna_sk_…`; "
    "`puna keys create NAME` makes one."
)


def needs(scope: str) -> Callable[..., Awaitable[Caller]]:
    """Return the dependency that lets in whoever has a valid key with `scope`."""

    async def caller(
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    ) -> Caller:
        found = await _caller(request, given)
        found.check_scope(scope)
        return found

    return caller


class Keyed(APIRoute):
    """A route that asks for the key before it reads the body: a stranger's is not even parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            await _caller(request, await bearer(request))
            return await answer(request)

        return keyed


async def _caller(request: Request, given: HTTPAuthorizationCredentials | None) -> Caller:
    """Find out who asks, once a request."""
    if given is None:
        raise AuthenticationError(NO_KEY)
    found: Caller | None = getattr(request.state, "caller", None)
    if found is None:
        verify = request.app.state.services.keys.verify
        found = request.state.caller = await asyncio.to_thread(verify, given.credentials)
    return found


ChatCaller = Annotated[Caller, Depends(needs("chat"))]
EmbeddingsCaller = Annotated[Caller, Depends(needs("embeddings"))]
UsageCaller = Annotated[Caller, Depends(needs("usage"))]
AdminCaller = Annotated[Caller, Depends(needs("admin"))]
