"""`puna tenants`: who pays, and whose data stays apart."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import ACTOR, day, moment, open_store, show_facts, show_rows

if TYPE_CHECKING:
    from puna.accounts import Ledger, Tenant

Name = Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's name or id.")]
Plan = Annotated[str, typer.Option("--plan", "-p", metavar="PLAN", help="As `puna plans` lists.")]

tenants = typer.Typer(help="List, add and change tenants.", invoke_without_command=True)


@tenants.callback(invoke_without_command=True)
def list_tenants(context: typer.Context, as_json: options.Json = False) -> None:
    """List the tenants with their plans and credits; change them with the commands below."""
    if context.invoked_subcommand is not None:
        return
    from puna.accounts import Ledger, Tenants

    with open_store(context) as store:
        ledger = Ledger(store)
        shown = _facts if as_json else _row
        rows = [shown(tenant, ledger) for tenant in Tenants(store).list()]
    show_rows(rows, as_json, none="no tenants")


@tenants.command(epilog="Example: puna tenants create acme --plan free")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="How the tenant is called.")],
    plan: Plan = "free",
    as_json: options.Json = False,
) -> None:
    """Add a tenant."""
    from puna.accounts import Ledger, Tenants

    with open_store(context) as store:
        tenant = Tenants(store).create(name, plan, actor=ACTOR)
        show_facts(_facts(tenant, Ledger(store)), as_json)


@tenants.command("set-plan", epilog="Example: puna tenants set-plan acme pro")
def set_plan(
    context: typer.Context,
    name: Name,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="As `puna plans` lists.")],
) -> None:
    """Move a tenant to another plan, from its next request on."""
    from puna.accounts import Tenants

    with open_store(context) as store:
        Tenants(store).set_plan(name, plan, actor=ACTOR)


@tenants.command(epilog="Example: puna tenants disable acme")
def disable(context: typer.Context, name: Name) -> None:
    """Refuse a tenant's keys and people from now on."""
    from puna.accounts import Tenants

    with open_store(context) as store:
        Tenants(store).set_disabled(name, True, actor=ACTOR)


@tenants.command(epilog="Example: puna tenants enable acme")
def enable(context: typer.Context, name: Name) -> None:
    """Take a disabled tenant back."""
    from puna.accounts import Tenants

    with open_store(context) as store:
        Tenants(store).set_disabled(name, False, actor=ACTOR)


def _facts(tenant: Tenant, ledger: Ledger) -> dict[str, Any]:
    return asdict(tenant) | {
        "created_at": moment(tenant.created_at),
        "disabled_at": moment(tenant.disabled_at),
        "credits": _credits(tenant, ledger),
    }


def _row(tenant: Tenant, ledger: Ledger) -> dict[str, Any]:
    return {
        "tenant": tenant.name,
        "plan": tenant.plan_id,
        "credits": _credits(tenant, ledger),
        "state": "disabled" if tenant.disabled_at else "active",
        "since": day(tenant.created_at),
        "id": tenant.id,
    }


def _credits(tenant: Tenant, ledger: Ledger) -> str:
    from puna.accounts.money import amount

    balance = ledger.balance(tenant.id)
    return f"{amount(balance.available_micros)} {balance.currency}"
