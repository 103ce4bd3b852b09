"""How a person wants the page to look: kept in a cookie, so that the first paint is right.

Theme and text size in, attributes of `<html>` out.  Knows no user.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "puna_look"
A_YEAR_S = 31_536_000

Theme = Literal["auto", "light", "dark"]
Size = Literal["small", "normal", "large", "huge"]


class Look(BaseModel):
    """Theme and size; unknown words are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    theme: Theme = "auto"
    size: Size = "normal"


def look_of(request: Request) -> Look:
    """What the cookie says, or the default."""
    theme, _, size = request.cookies.get(COOKIE, "").partition(".")
    try:
        return Look.model_validate({"theme": theme, "size": size})
    except ValueError:
        return Look()


def keep(look: Look, response: Response, *, secure: bool) -> None:
    """Write the cookie."""
    value = f"{look.theme}.{look.size}"
    response.set_cookie(
        COOKIE, value, max_age=A_YEAR_S, secure=secure, httponly=True, samesite="lax"
    )
