"""Every address of the pages and of the requests that their script sends.

A house in, an ASGI application out.  The table below is the contents.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from puna.server.web import assets, door, failures, plan
from puna.server.web.console import audit, keys, models, plans, tenants, users
from puna.server.web.guard import Guard
from puna.server.web.house import House
from puna.server.web.visit import Endpoint, Handler, owner_only, signed_in


class Site:
    """The assistant's pages and the owner's console; `close` ends the answers that run."""

    def __init__(self, house: House) -> None:
        self._house = house
        handlers = {Exception: failures.answer}
        site = Starlette(routes=routes(), exception_handlers=handlers)  # type: ignore[arg-type]
        site.state.house = house
        self._guarded = Guard(site, house.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guarded(scope, receive, send)

    async def close(self) -> None:
        """Stop every answer that is being given."""
        await self._house.turns.close()


def routes() -> list[BaseRoute]:
    """The whole table."""
    return [*_pages(), *_deeds(), *_console()]


def _pages() -> list[BaseRoute]:
    return [
        Route("/plan", signed_in(plan.plan_page)),
        Route("/login", door.login_page),
        Route(door.WELCOME, door.welcome_page),
        Route("/static/{version}/{path:path}", assets.static_file),
    ]


def _deeds() -> list[BaseRoute]:
    return [
        Route("/web/welcome", door.welcome, methods=["POST"]),
        Route("/web/login", door.login, methods=["POST"]),
        _deed("POST", "/web/logout", door.logout),
        _deed("POST", "/web/password", door.change_password),
    ]


def _console() -> list[BaseRoute]:
    pages: Sequence[tuple[str, Handler]] = [
        ("/console/models", models.models_page),
        ("/console/tenants", tenants.tenants_page),
        ("/console/users", users.users_page),
        ("/console/keys", keys.keys_page),
        ("/console/plans", plans.plans_page),
        ("/console/audit", audit.audit_page),
    ]
    deeds: Sequence[tuple[str, str, Handler]] = [
        ("POST", "/web/console/models", models.pull_model),
        ("DELETE", "/web/console/models/{model:path}", models.remove_model),
        ("POST", "/web/console/tenants", tenants.create_tenant),
        ("PATCH", "/web/console/tenants/{tenant}", tenants.change_tenant),
        ("POST", "/web/console/users", users.invite),
        ("PATCH", "/web/console/users/{user}", users.change_user),
        ("POST", "/web/console/keys", keys.create_key),
        ("DELETE", "/web/console/keys/{key}", keys.revoke_key),
        ("POST", "/web/console/plans", plans.create_plan),
        ("PATCH", "/web/console/plans/{plan}", plans.change_plan),
    ]
    return [
        *(Route(path, owner_only(page)) for path, page in pages),
        *(_route(method, path, owner_only(deed)) for method, path, deed in deeds),
    ]


def _deed(method: str, path: str, handler: Handler) -> Route:
    return _route(method, path, signed_in(handler))


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])
