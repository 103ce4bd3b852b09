"""`puna keys`: API keys, shown once at their creation."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import timedelta
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
    from puna.accounts import Key

keys = typer.Typer(help="List, make and revoke API keys.", invoke_without_command=True)


@keys.callback(invoke_without_command=True)
def list_keys(
    context: typer.Context, tenant: AnyTenant = None, as_json: options.Json = False
) -> None:
    """List the keys, without their secrets; make and revoke them with the commands below."""
    if context.invoked_subcommand is not None:
        return
    from puna.accounts import Keys, Users

    with open_store(context) as store:
        tenant_id, names = tenants(store, tenant)
        found = Keys(store).list(tenant_id)
        people = {user.id: user.email for user in Users(store).list(tenant_id)}
    rows = [_facts(key) if as_json else _row(key, names, people) for key in found]
    show_rows(rows, as_json, none="no keys yet; make one: puna keys create NAME")


@keys.command(epilog="Example: puna keys create laptop --tenant acme --expires-in 90")
def create(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    tenant: Tenant = "owner",
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="USER",
            help="Whose conversations it opens, as for `puna chat --server`; of their tenant.",
            show_default="nobody's",
        ),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            "-p",
            metavar="PLAN",
            help="A plan for this key alone, with rates of its own.",
            show_default="the tenant's",
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="chat, embeddings, usage or admin; may be given several times.",
            show_default="chat, embeddings and usage",
        ),
    ] = None,
    expires_in: Annotated[
        int | None,
        typer.Option(
            "--expires-in", min=1, max=36500, metavar="DAYS", help="Days.", show_default="never"
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    from puna.accounts import USUAL_SCOPES, Keys, utc_now

    expires_at = utc_now() + timedelta(days=expires_in) if expires_in else None
    with open_store(context) as store:
        made = Keys(store).create(
            name,
            tenant,
            user=user,
            plan_id=plan,
            scopes=frozenset(scope) if scope else USUAL_SCOPES,
            expires_at=expires_at,
            actor=ACTOR,
        )
    if as_json:
        print(json.dumps(_facts(made.key) | {"secret": made.secret}))
        return
    print(made.secret)
    print("Keep it now: Puna stores only a hash, and never shows it again.", file=sys.stderr)


@keys.command(epilog="Example: puna keys revoke key_4m8x0w2n6c9v1t3r")
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="A key's id, as listed.")],
    as_json: options.Json = False,
) -> None:
    """Refuse a key from its next use on."""
    from puna.accounts import Keys

    with open_store(context) as store:
        key = Keys(store).revoke(key_id, actor=ACTOR)
    show_facts(_facts(key), as_json)


def _facts(key: Key) -> dict[str, Any]:
    facts = asdict(key) | {"scopes": sorted(key.scopes)}
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return facts | {name: moment(facts[name]) for name in times}


def _row(key: Key, tenants: dict[str, str], people: dict[str, str]) -> dict[str, Any]:
    from puna.accounts import USUAL_SCOPES

    return {
        "name": key.name,
        "tenant": tenants[key.tenant_id],
        "user": people.get(key.user_id or ""),
        "plan": key.plan_id,
        "scopes": "usual" if key.scopes == USUAL_SCOPES else sorted(key.scopes),
        "state": _state(key),
        "last used": day(key.last_used_at),
        "id": key.id,
    }


def _state(key: Key) -> str:
    from puna.accounts import utc_now

    if key.revoked_at:
        return f"revoked {day(key.revoked_at)}"
    if key.expires_at is None:
        return "active"
    return f"{'expired' if key.expires_at <= utc_now() else 'until'} {day(key.expires_at)}"
