"""`puna users`: the people of each tenant.  Passwords are typed unseen, or read from stdin."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import (
    ACTOR,
    AnyTenant,
    Tenant,
    day,
    moment,
    open_store,
    show_facts,
    show_rows,
    tenants,
)

if TYPE_CHECKING:
    from puna.accounts import User
    from puna.accounts.users import Role

Address = Annotated[str, typer.Argument(metavar="USER", help="An e-mail address, or an id.")]
RoleOption = Annotated[
    str,
    typer.Option(
        "--role",
        metavar="ROLE",
        help="owner (everything), admin (chooses and pays the tenant's plan) or member.",
    ),
]

users = typer.Typer(help="List, invite and change people.", invoke_without_command=True)


@users.callback(invoke_without_command=True)
def list_users(
    context: typer.Context, tenant: AnyTenant = None, as_json: options.Json = False
) -> None:
    """List people; add and change them with the commands below."""
    if context.invoked_subcommand is not None:
        return
    from puna.accounts import Users

    with open_store(context) as store:
        tenant_id, names = tenants(store, tenant)
        found = Users(store).list(tenant_id)
    rows = [_facts(user) if as_json else _row(user, names) for user in found]
    show_rows(rows, as_json, none="nobody yet; `puna users invite` makes a link")


@users.command(epilog="Example: puna users create ada@example.org --role owner")
def create(
    context: typer.Context,
    *,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address to sign in with.")],
    tenant: Tenant = "owner",
    role: RoleOption = "member",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="How they are called.")] = "",
    as_json: options.Json = False,
) -> None:
    """Add a person; the password is asked for."""
    from puna.accounts import Users

    password = _password()
    with open_store(context) as store:
        user = Users(store).create(
            email, password, name=name, tenant=tenant, role=_role(role), actor=ACTOR
        )
    show_facts(_facts(user), as_json)


@users.command(epilog="Example: puna users invite --tenant acme --role admin")
def invite(
    context: typer.Context,
    tenant: Tenant = "owner",
    role: RoleOption = "member",
    as_json: options.Json = False,
) -> None:
    """Print a code with which one person may join a tenant, for a week."""
    from puna.accounts import Links, Users

    with open_store(context) as store:
        token = Links(store, Users(store)).invite(tenant, _role(role), actor=ACTOR)
    show_facts({"code": token, "path": f"/welcome#{token}"}, as_json)


@users.command(epilog="Example: puna users invitations")
def invitations(context: typer.Context, as_json: options.Json = False) -> None:
    """List the invitations that nobody has used yet."""
    from puna.accounts import Links, Users

    with open_store(context) as store:
        _, names = tenants(store, None)
        pending = Links(store, Users(store)).pending()
    rows = [
        {
            "id": one.id,
            "tenant": names[one.tenant_id],
            "role": one.role,
            "until": day(one.expires_at),
        }
        for one in pending
    ]
    show_rows(rows, as_json, none="no invitation is pending")


@users.command(epilog="Example: puna users withdraw inv_4f1c09d2a7b36e58")
def withdraw(
    context: typer.Context,
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION", help="An invitation's id, as listed.")
    ],
) -> None:
    """Make an invitation worthless."""
    from puna.accounts import Links, Users

    with open_store(context) as store:
        Links(store, Users(store)).withdraw(invitation, actor=ACTOR)


@users.command(epilog="Example: puna users password ada@example.org")
def password(context: typer.Context, user: Address) -> None:
    """Set a person's password anew, and sign them out everywhere."""
    from puna.accounts import Sessions, Users

    fresh = _password()
    with open_store(context) as store, store.write():
        users = Users(store)
        found = users.get(user)
        users.set_password(found.id, fresh, actor=ACTOR)
        Sessions(store).end_all(found.id)


@users.command(epilog="Example: puna users disable ada@example.org")
def disable(context: typer.Context, user: Address) -> None:
    """Refuse a person from now on."""
    from puna.accounts import Users

    with open_store(context) as store:
        Users(store).set_disabled(user, True, actor=ACTOR)


@users.command(epilog="Example: puna users enable ada@example.org")
def enable(context: typer.Context, user: Address) -> None:
    """Take a disabled person back."""
    from puna.accounts import Users

    with open_store(context) as store:
        Users(store).set_disabled(user, False, actor=ACTOR)


def _password() -> str:
    """Never an argument: other users of the machine can read those."""
    if sys.stdin.isatty():
        answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return answer
    return sys.stdin.readline().rstrip("\r\n")


def _role(text: str) -> Role:
    from puna.accounts.users import ROLES

    for role in ROLES:
        if role == text:
            return role
    raise typer.BadParameter(f"choose among {', '.join(ROLES)}", param_hint="--role")


def _facts(user: User) -> dict[str, Any]:
    return asdict(user) | {
        "created_at": moment(user.created_at),
        "disabled_at": moment(user.disabled_at),
    }


def _row(user: User, tenants: dict[str, str]) -> dict[str, Any]:
    return {
        "user": user.email,
        "name": user.name,
        "tenant": tenants[user.tenant_id],
        "role": user.role,
        "state": "disabled" if user.disabled_at else "active",
        "since": day(user.created_at),
    }
