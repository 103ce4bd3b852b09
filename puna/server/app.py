"""The server: every route of the API, what stands around them, and its life.

In: the services and settings.  Out: an ASGI application.  The first file to
read: `ROUTERS` is the table of contents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.accounts import Caller, Ledger
from puna.errors import PunaError
from puna.server import (
    addresses,
    assistant,
    chat,
    completions,
    embeddings,
    failures,
    health,
    metrics,
    models,
    payments,
    spending,
    tokenize,
)
from puna.server.departure import ClientGoneError, nobody
from puna.server.desk import Desk
from puna.server.guard import Guard
from puna.server.left import headers_of
from puna.server.responses import routes as responses
from puna.server.responses.under_way import UnderWay
from puna.server.rounds import repeated
from puna.server.services import Services
from puna.server.settings import ServerSettings
from puna.server.web.house import House

ROUTERS: Sequence[APIRouter] = (
    chat.router,
    completions.router,
    embeddings.router,
    responses.router,
    models.router,
    tokenize.router,
    spending.router,
    payments.router,
    health.router,
    metrics.router,
    *assistant.ROUTERS,
)
TIDY_S = 3600.0
DESCRIPTION = (
    "Llama behind OpenAI's API. Every route needs an API key, but for /health, and for /webhooks, "
    "which takes signed messages."
)


class Site(Protocol):
    """What answers whatever is no route of the API, and lives as long as the server."""

    async def open(self, desk: Desk) -> House:
        """Get ready, before the first request; returns what the assistant's routes ask."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ...

    async def close(self) -> None:
        """End what it holds open; the last answer has ended."""
        ...


def create_app(
    services: Services, settings: ServerSettings | None = None, site: Site | None = None
) -> FastAPI:
    """Return the application; `site` answers whatever is no route of the API."""
    settings = settings or ServerSettings()
    app = FastAPI(
        title="Puna",
        description=DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_life,
        middleware=[Middleware(Guard, settings=settings, left=partial(_left, services.ledger))],
    )
    app.state.services, app.state.settings, app.state.site = services, settings, site
    app.state.addresses = addresses.addresses_of(ROUTERS)
    app.state.house = None  # until the site opens
    app.state.under_way, app.state.idempotency = UnderWay(), services.idempotency
    for router in ROUTERS:
        app.include_router(router)
    for error in (PunaError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error, failures.answer)
    app.add_exception_handler(ClientGoneError, nobody)
    if site is not None:
        app.router.default = partial(_elsewhere, site, app.router.default)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """Open the desk, load the default model meanwhile, and at the end settle everything."""
    services, settings = app.state.services, app.state.settings
    desk = app.state.desk = Desk(services.models, services.ledger, settings)
    app.state.pulse = health.Pulse(desk)
    desk.tally.watch(metrics.EngineGauges(desk))
    keeping = asyncio.gather(
        desk.keep_books(),
        repeated("tidying", partial(_tidy, services), TIDY_S, desk.tally),
        repeated(
            "ending cancelled responses",
            partial(app.state.under_way.heed, services.responses),
            settings.renew_s,
            desk.tally,
        ),
    )
    warming = asyncio.create_task(app.state.pulse.ailment())
    site: Site | None = app.state.site
    if site is not None:
        app.state.house = await site.open(desk)
    try:
        yield
    finally:
        warming.cancel()
        await desk.drain()
        if site is not None:
            await site.close()
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        desk.close()


async def _tidy(services: Services) -> None:
    """Forget what is kept for its time alone."""
    await asyncio.to_thread(services.idempotency.forget_old)
    await asyncio.to_thread(services.responses.forget_old)


async def _elsewhere(
    site: ASGIApp, nowhere: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let the site answer what is no route, but for the API's own corner."""
    of_api = scope["type"] != "http" or addresses.is_of_api(scope)
    await (nowhere if of_api else site)(scope, receive, send)


async def _left(ledger: Ledger, caller: Caller) -> Mapping[str, str]:
    """What a caller has left, for answers that cost nothing."""
    try:
        return headers_of(await asyncio.to_thread(ledger.standing, caller))
    except PunaError:
        return {}


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The API's description; a body that does not fit is answered with 400, not 422."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        app.openapi_schema = schema
    return app.openapi_schema
