"""`puna credits`: prepaid money."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import ACTOR, open_store, show_facts, show_rows

credits_ = typer.Typer(help="Show and add prepaid credits.", invoke_without_command=True)


@credits_.callback(invoke_without_command=True)
def list_credits(context: typer.Context, as_json: options.Json = False) -> None:
    """List what each tenant has paid, spent and reserved."""
    if context.invoked_subcommand is not None:
        return
    from puna.accounts import Ledger, Tenants

    with open_store(context) as store:
        ledger = Ledger(store)
        rows = [
            {"tenant": tenant.name, **_facts(ledger.balance(tenant.id))}
            for tenant in Tenants(store).list()
        ]
    show_rows(rows, as_json, none="no tenants")


@credits_.command(
    epilog="Example: puna credits add acme 25.00 --note 'transfer of 24 November'",
    context_settings={"ignore_unknown_options": True},
)
def add(
    context: typer.Context,
    *,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's name or id.")],
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="As 25.00; a negative one takes credits back.")
    ],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Shown on invoices.")] = "",
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="TEXT", help="Counts once, however often it is sent."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Add prepaid credits, in the currency of the tenant's plan."""
    from puna.accounts import Ledger
    from puna.accounts.money import parse_amount

    micros = parse_amount(amount)
    with open_store(context) as store:
        balance = Ledger(store).credit(tenant, micros, note=note, reference=reference, actor=ACTOR)
    show_facts(_facts(balance), as_json)


def _facts(balance: Any) -> dict[str, Any]:
    from puna.accounts.money import amount

    return {
        "available": amount(balance.available_micros),
        "paid": amount(balance.credited_micros),
        "spent": amount(balance.spent_micros),
        "reserved": amount(balance.reserved_micros),
        "currency": balance.currency,
    }
