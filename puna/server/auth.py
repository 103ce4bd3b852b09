"""Who asks: the key of an Authorization header in, a caller out.

A key is accepted from that header alone: never from a cookie, an address or a
body.  Every request is checked against the database, so a revoked key is
refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
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
        if given is None:
            raise AuthenticationError(NO_KEY)
        found: Caller = await asyncio.to_thread(
            request.app.state.services.keys.verify, given.credentials
        )
        request.state.caller = found
        found.check_scope(scope)
        return found

    return caller


ChatCaller = Annotated[Caller, Depends(needs("chat"))]
EmbeddingsCaller = Annotated[Caller, Depends(needs("embeddings"))]
UsageCaller = Annotated[Caller, Depends(needs("usage"))]
AdminCaller = Annotated[Caller, Depends(needs("admin"))]
