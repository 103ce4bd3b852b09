"""The page of API keys: made and shown once, seen without their secret, revoked."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from puna.accounts.keys import Key
from puna.accounts.tenants import Tenant
from puna.accounts.users import User
from puna.server.example import curl
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Example, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.console.users import tenant_field
from puna.server.web.reading import Form as Body
from puna.server.web.visit import Visit

NOBODYS = ("", "nobody's: a program's own")
SHOWN_ONCE = "This is the only time that the key is shown. Copy it now."


class NewKey(Body):
    """What it is for, and whose it is; a person's opens their conversations."""

    name: str
    tenant: str
    user: str = ""


async def keys_page(visit: Visit) -> Response:
    """List them, the newest first."""
    keys = await visit.do(visit.house.keys.list)
    tenants = await visit.do(visit.house.tenants.list)
    users = await visit.do(visit.house.users.list)
    example = example_of(visit.origin, visit.house.default_model)
    return await listing_page(visit, listing(keys[::-1], tenants, users, visit, example))


async def create_key(visit: Visit) -> Response:
    """Make one; the answer holds the secret, and nothing else ever will."""
    new = await visit.form(NewKey)
    create, user = visit.house.keys.create, new.user or None
    made = await visit.do(create, new.name, new.tenant, user=user, actor=visit.actor)
    return JSONResponse({"secret": made.secret}, 201)


async def revoke_key(visit: Visit) -> Response:
    """Refuse it from now on."""
    await visit.do(visit.house.keys.revoke, visit.path("key"), actor=visit.actor)
    return JSONResponse({})


def example_of(origin: str, model: str) -> Example:
    """A question to paste into a terminal, and where a program's settings want an address."""
    return Example("Try it in a terminal:", " ".join(curl(origin, "KEY", model)))


def listing(
    keys: list[Key], tenants: list[Tenant], users: list[User], visit: Visit, example: Example
) -> Listing:
    """Draw the keys up as rows."""
    names = {tenant.id: tenant.name for tenant in tenants}
    names |= {user.id: user.email for user in users}
    fields = (
        Field("name", "What it is for"),
        tenant_field(tenants, visit.visitor),
        Field("user", "Whose", "select", [NOBODYS, *((user.id, user.email) for user in users)]),
    )
    form = Form(
        "A new key", "/web/console/keys", fields, "Make a key", secret=SHOWN_ONCE, example=example
    )
    return Listing(
        "/keys",
        "Keys",
        "With a key, a program talks to this server as OpenAI's clients do; "
        f"as its base address give it {visit.origin}/v1. A person's key also opens that person's "
        "conversations, as for puna chat, and is of their tenant.",
        ("Name", "Tenant", "Whose", "Key", "Last used", "State"),
        [_row(key, names) for key in keys],
        [form],
    )


def _row(key: Key, names: dict[str, str]) -> Row:
    cells = (
        Cell(key.name),
        Cell(names.get(key.tenant_id, key.tenant_id)),
        Cell(names.get(key.user_id or "", "")),
        Cell(f"puna_sk_{key.id.removeprefix('key_')[:6]}…"),
        Cell(words.moment(key.last_used_at)),
        Cell("revoked", tag="bad") if key.revoked_at else Cell("valid", tag="on"),
    )
    sure = "Refuse this key from now on?"
    revoke = Action("Revoke", f"/web/console/keys/{key.id}", "DELETE", sure)
    return Row(cells, () if key.revoked_at else (revoke,))
