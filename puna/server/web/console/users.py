"""The page of people: invited by a one-time link, refused and taken back."""

from __future__ import annotations

from typing import Literal

from starlette.responses import JSONResponse, Response

from puna.accounts import Tenant, User
from puna.accounts.links import Invitation
from puna.accounts.users import LEAST_PASSWORD, ROLES, Role
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.door import welcome_link
from puna.server.web.reading import Form as Body
from puna.server.web.refused import RefusedError
from puna.server.web.visit import Visit
from puna.server.web.visitor import Visitor

SHOWN_ONCE = "Send this link to one person. It works once, within a week, and is not shown again."
NEAR_ONLY = (
    "It opens on this machine alone; to let in others of the house, start Puna with "
    "--host 0.0.0.0 --host-name and this machine's name or address, open the page there, "
    "and invite from there."
)


class Invited(Body):
    """Whom to let in, as what."""

    tenant: str
    role: Role


class GivenPassword(Body):
    """A new password for somebody who forgot theirs."""

    user: str
    password: str


class UserChange(Body):
    """A door closed or opened."""

    state: Literal["on", "off"]


async def users_page(visit: Visit) -> Response:
    """List them, with a form that invites."""
    users = await visit.do(visit.house.users.list)
    tenants = await visit.do(visit.house.tenants.list)
    pending = await visit.do(visit.house.links.pending)
    told = f"{SHOWN_ONCE} {NEAR_ONLY}" if visit.at_home else SHOWN_ONCE
    return await listing_page(
        visit,
        listing(users, tenants, told, visit.visitor),
        "console/users.html",
        columns=("Invitation", "Tenant", "Role", "Until (UTC)"),
        invitations=[_invitation(one, tenants) for one in pending],
    )


async def invite(visit: Visit) -> Response:
    """Make a link; the answer holds it, and nothing else ever will."""
    who = await visit.form(Invited)
    token = await visit.do(visit.house.links.invite, who.tenant, who.role, actor=visit.actor)
    return JSONResponse({"secret": welcome_link(visit.origin, token)}, 201)


async def withdraw(visit: Visit) -> Response:
    """Make a link worthless that nobody has used."""
    name = visit.path("invitation")
    await visit.do(visit.house.links.withdraw, name, actor=visit.actor)
    return JSONResponse({})


async def give_password(visit: Visit) -> Response:
    """Set somebody's password anew, and sign them out everywhere."""
    new, house = await visit.form(GivenPassword), visit.house
    user = await visit.do(house.users.get, new.user)  # who may be named by their address
    await visit.do(house.users.set_password, user.id, new.password, actor=visit.actor)
    await visit.do(house.sessions.end_all, user.id)
    return JSONResponse({})


async def change_user(visit: Visit) -> Response:
    """Refuse a person and end their sessions, or take them back."""
    change, user_id = await visit.form(UserChange), visit.path("user")
    off = change.state == "off"
    if off and user_id == visit.visitor.user_id:
        raise RefusedError(409, "You would lock yourself out.")
    await visit.do(visit.house.users.set_disabled, user_id, off, actor=visit.actor)
    if off:
        await visit.do(visit.house.sessions.end_all, user_id)
    return JSONResponse({})


def listing(users: list[User], tenants: list[Tenant], told: str, visitor: Visitor) -> Listing:
    """Draw the people up as rows; the visitor's own account is never closed."""
    names = {tenant.id: tenant.name for tenant in tenants}
    fields = (
        tenant_field(tenants, visitor),
        Field("role", "Role", "select", [(role, role) for role in ROLES], "member"),
    )
    invitation = Form("Invite somebody", "/web/console/users", fields, "Make a link", secret=told)
    others = [(user.id, user.email) for user in users if user.id != visitor.user_id]
    forgotten = [_new_password(others)] if others else []
    return Listing(
        "/users",
        "Users",
        "The people who sign in here. What they say in their chats is theirs alone.",
        ("Name", "E-mail", "Tenant", "Role", "Since", "State"),
        [_row(user, names, visitor.user_id) for user in users],
        [invitation, *forgotten],
    )


def tenant_field(tenants: list[Tenant], visitor: Visitor) -> Field:
    """Ask for a tenant; the visitor's own is chosen already."""
    options = [(tenant.id, tenant.name) for tenant in tenants]
    return Field("tenant", "Tenant", "select", options, visitor.tenant_id)


def _new_password(people: list[tuple[str, str]]) -> Form:
    fields = (
        Field("user", "Whose", "select", people),
        Field("password", "New password", "password", hint=f"{LEAST_PASSWORD} characters or more"),
    )
    return Form("A forgotten password", "/web/console/password", fields, "Set")


def _invitation(one: Invitation, tenants: list[Tenant]) -> Row:
    names = {tenant.id: tenant.name for tenant in tenants}
    texts = (
        one.id,
        names.get(one.tenant_id, one.tenant_id),
        one.role,
        words.moment(one.expires_at),
    )
    url, sure = f"/web/console/invitations/{one.id}", "Refuse whoever opens this link?"
    return Row([Cell(text) for text in texts], [Action("Withdraw", url, "DELETE", sure)])


def _row(user: User, names: dict[str, str], own: str) -> Row:
    on = user.disabled_at is None
    action = Action(
        "Close" if on else "Open",
        f"/web/console/users/{user.id}",
        "PATCH",
        "Sign this person out, and refuse them from now on?" if on else "",
        {"state": "off" if on else "on"},
    )
    texts = (user.name, user.email, names.get(user.tenant_id, user.tenant_id), user.role)
    state = Cell("open", tag="on") if on else Cell("closed", tag="bad")
    cells = (*(Cell(text) for text in texts), Cell(words.day(user.created_at)), state)
    return Row(cells, () if user.id == own else (action,))
