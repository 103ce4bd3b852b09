"""A wrong address or method: what there is instead.

In: the application's routes, and what was asked for.  Out: a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import Scope

MOST_SHOWN = 80  # characters of a foreign address


def is_of_api(scope: Scope) -> bool:
    """Whether somebody asks the API, if at a wrong address, and not a page."""
    path: str = scope["path"]
    named = path == "/v1" or path.startswith(("/v1/", "/api/"))
    # A browser behind a proxy that asks for a password sends one with every page: "Basic".
    keyed = any(
        name == b"authorization" and value[:6].lower() == b"bearer"
        for name, value in scope["headers"]
    )
    reads = scope["method"] in ("GET", "HEAD")
    return named or keyed or not (reads or path.startswith("/web/"))


def not_found(request: Request) -> str:
    """Say what is nearest to the address, or all that there is."""
    path, known = request.url.path, request.app.state.addresses
    tail = path.rstrip("/").removeprefix("/v1").removeprefix("/api")
    for guess in (path.rstrip("/"), f"/v1{tail}"):
        if near := get_close_matches(guess, known, 1, 0.8):
            there = f"did you mean {known[near[0]]} {near[0]}?"
            break
    else:
        there = f"there are {', '.join(_beside(path, known))}"
    return f"there is nothing at {path[:MOST_SHOWN]!r}; {there}"


def wrong_method(request: Request, headers: Mapping[str, str]) -> str:
    """Say which methods the address takes."""
    takes = headers.get("Allow", "another")
    return f"{request.url.path[:MOST_SHOWN]!r} takes {takes}, not {request.method}"


def _beside(path: str, known: Mapping[str, str]) -> list[str]:
    """Return what there is in the same corner, or else under /v1."""
    corner = _corner(path) if any(_corner(one) == _corner(path) for one in known) else "v1"
    return [f"{methods} {one}" for one, methods in known.items() if _corner(one) == corner]


def _corner(path: str) -> str:
    return path.split("/")[1] if "/" in path else path


def addresses_of(routers: Iterable[APIRouter]) -> dict[str, str]:
    """Return each address with its methods."""
    known: dict[str, list[str]] = {}
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                known.setdefault(route.path_format, []).extend(sorted(route.methods or ()))
    return {path: "/".join(methods) for path, methods in known.items()}
