"""The door: the first account by a one-time link, signing in and out, a new password."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from puna.accounts.users import LEAST_PASSWORD
from puna.errors import AuthenticationError
from puna.server.web.house import House
from puna.server.web.look import look_of
from puna.server.web.reading import Form, read_form
from puna.server.web.refused import RefusedError
from puna.server.web.render import page
from puna.server.web.visit import Visit
from puna.server.web.visitor import close_session, open_session, visitor_of

WELCOME = "/welcome"
OURS = re.compile(
    r"/(c/con_\w{1,60}|memory|settings|plan|pay/\w{1,80}|console(/[a-z]{1,20})?)", re.ASCII
)
WRONG = "The address or the password is wrong, or the account was closed."


class Newcomer(Form):
    """Who opens the link, and how they will sign in."""

    token: str
    name: str
    email: str
    password: str


class SignIn(Form):
    """An address and its password."""

    email: str
    password: str


class NewPassword(Form):
    """The present one, and the one from now on."""

    old: str
    new: str


def welcome_link(origin: str, token: str) -> str:
    """What to print for the owner: the token follows `#`, so that no log ever holds it."""
    return f"{origin}{WELCOME}#{token}"


async def welcome_page(request: Request) -> Response:
    """Ask a newcomer for a name and a password."""
    users = await run_in_threadpool(_house(request).users.list)
    look = look_of(request)
    return page("welcome.html", look=look, password_length=LEAST_PASSWORD, ownerless=not users)


async def welcome(request: Request) -> Response:
    """Use up the link, make the account and sign in."""
    house, new = _house(request), await read_form(request, Newcomer)
    user = await run_in_threadpool(house.links.accept, new.token, new.email, new.password, new.name)
    return await _entered(request, house, user.id)


async def login_page(request: Request) -> Response:
    """Ask for address and password; who is signed in goes on."""
    house = _house(request)
    if await run_in_threadpool(visitor_of, request, house) is not None:
        return RedirectResponse(_way_back(request), 303)
    users = await run_in_threadpool(house.users.list)
    look, back = look_of(request), _way_back(request)
    return page("login.html", look=look, back=back, ownerless=not users)


async def login(request: Request) -> Response:
    """Check the password and sign in."""
    house, who = _house(request), await read_form(request, SignIn)
    try:
        user = await run_in_threadpool(house.users.check, who.email, who.password)
    except AuthenticationError as error:
        raise RefusedError(403, WRONG) from error
    return await _entered(request, house, user.id)


async def logout(visit: Visit) -> Response:
    """Sign this browser out."""
    response = JSONResponse({})
    await visit.do(close_session, visit.request, response, visit.house)
    return response


async def change_password(visit: Visit) -> Response:
    """Set a new password, and sign out everywhere."""
    change, house, visitor = await visit.form(NewPassword), visit.house, visit.visitor
    try:
        await visit.do(house.users.check, visitor.email, change.old)
    except AuthenticationError as error:
        raise RefusedError(403, "That is not your present password.") from error
    await visit.do(house.users.set_password, visitor.user_id, change.new, actor=visit.actor)
    await visit.do(house.sessions.end_all, visitor.user_id)
    response = JSONResponse({})
    await visit.do(close_session, visit.request, response, house)
    return response


async def _entered(request: Request, house: House, user_id: str) -> Response:
    response = JSONResponse({})
    await run_in_threadpool(open_session, request, response, house, user_id)
    return response


def _way_back(request: Request) -> str:
    """Where somebody wanted to go who had to sign in first: a page of ours, or the first."""
    wanted = request.query_params.get("next", "")
    return wanted if OURS.fullmatch(wanted) else "/"


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house
