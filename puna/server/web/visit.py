"""One request and who makes it: what every handler of a page is given.

Knows the house (accounts, models, assistant), never their tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from puna.server.settings import LOCAL_HOSTS
from puna.server.web.house import House
from puna.server.web.look import look_of
from puna.server.web.reading import Body, read_form
from puna.server.web.refused import RefusedError
from puna.server.web.render import page
from puna.server.web.side import side_of
from puna.server.web.visitor import Visitor, visitor_of
from puna.services.assistant.owner import Owner

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[["Visit"], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Visit:
    """A request of somebody who is signed in."""

    def __init__(self, request: Request, house: House, visitor: Visitor) -> None:
        self.request = request
        self.house = house
        self.visitor = visitor

    @property
    def actor(self) -> str:
        """Who the audit log names."""
        return self.visitor.user_id

    @property
    def owner(self) -> Owner:
        """Whose conversations, files and memories these are."""
        return Owner(self.visitor.tenant_id, self.visitor.user_id)

    @property
    def origin(self) -> str:
        """The address at which this browser finds the server: "http://localhost:8600"."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    @property
    def at_home(self) -> bool:
        """Whether the browser runs on the server's own machine."""
        return self.request.url.hostname in LOCAL_HOSTS

    def path(self, name: str) -> str:
        """A part of the address."""
        part: str = self.request.path_params[name]
        return part

    async def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what waits for the database on a thread."""
        return await run_in_threadpool(function, *args, **kwargs)

    async def form(self, form: type[Body]) -> Body:
        """The request's JSON."""
        return await read_form(self.request, form)

    async def page(self, template: str, *, here: str = "", **context: Any) -> Response:
        """A page with its sidebar."""
        side = await self.do(side_of, self.house, self.visitor)
        look = look_of(self.request)
        return page(template, here=here, look=look, viewer=self.visitor, **side, **context)


def signed_in(handler: Handler) -> Endpoint:
    """Let in whoever has a session; send others to the door."""

    async def endpoint(request: Request) -> Response:
        house: House = request.app.state.house
        visitor = await run_in_threadpool(visitor_of, request, house)
        if visitor is not None:
            return await handler(Visit(request, house, visitor))
        if request.url.path.startswith("/web/"):
            raise RefusedError(401, "You are signed out.", link="/login", link_text="Sign in")
        return RedirectResponse(_login(request.url.path), 303)

    return endpoint


def _login(path: str) -> str:
    """The door, which leads back to where somebody wanted to go."""
    return "/login" if path == "/" else f"/login?next={quote(path)}"


def owner_only(handler: Handler) -> Endpoint:
    """Let in the server's owner alone; for others the console does not exist."""

    async def checked(visit: Visit) -> Response:
        if not visit.visitor.owner:
            raise RefusedError(404, "There is no such page.")
        return await handler(visit)

    return signed_in(checked)
