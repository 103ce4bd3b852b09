"""`puna credits`: prepaid money."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import ACTOR, moment, open_store, show_facts, show_rows, tenants
from puna.cli.announcement import find_server
from puna.cli.paying import paying
from puna.config import Settings

if TYPE_CHECKING:
    from puna.accounts import Payments, Store

Page = Annotated[
    str | None,
    typer.Option(
        "--page",
        metavar="URL",
        help="Where people find this server.",
        show_default="the server that runs here",
    ),
]

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


@credits_.command(epilog="Example: puna credits checkout acme 25.00")
def checkout(
    context: typer.Context,
    *,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's name or id.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="As 25.00.")],
    page: Page = None,
    as_json: options.Json = False,
) -> None:
    """Make a link at which a tenant can pay for credits (see PUNA_PAYMENTS)."""
    from puna.accounts.money import parse_amount

    micros, origin = parse_amount(amount), _origin(context.obj, page)
    with _payments(context) as (payments, _):
        made = payments.checkout(tenant, micros, origin)
    show_facts({"id": made.id, "link": made.url}, as_json)


@credits_.command()
def checkouts(context: typer.Context, as_json: options.Json = False) -> None:
    """List payments that were begun, the newest first."""
    from puna.accounts.money import amount

    with _payments(context) as (payments, store):
        _, names = tenants(store, None)
        rows = [
            {
                "id": due.id,
                "tenant": names.get(due.tenant_id, due.tenant_id),
                "through": due.provider,
                "credits": amount(due.amount_micros),
                "currency": due.currency,
                "begun": moment(due.created_at),
                "paid": moment(due.paid_at),
            }
            for due in payments.latest(limit=1000)
        ]
    show_rows(rows, as_json, none="no payments")


@credits_.command(epilog="Example: puna credits confirm pay_k3v9m2x8q7w5e1r6")
def confirm(
    context: typer.Context,
    *,
    checkout: Annotated[str, typer.Argument(metavar="CHECKOUT", help="As `checkouts` lists it.")],
) -> None:
    """Add the credit of a payment that has come: by your word, or by Stripe's, who is asked."""
    with _payments(context) as (payments, _):
        credited = payments.confirm(checkout, actor=ACTOR)
    print(f"{checkout}: {'credited' if credited else 'was credited before'}")


@contextmanager
def _payments(context: typer.Context) -> Iterator[tuple[Payments, Store]]:
    from puna.accounts import Ledger, Payments

    with open_store(context) as store, paying(context.obj) as provider:
        yield Payments(store, Ledger(store), provider), store


def _origin(settings: Settings, page: str | None) -> str:
    running = find_server(settings.home)
    return (page or (running and running.url) or "http://127.0.0.1:8600").rstrip("/")


def _facts(balance: Any) -> dict[str, Any]:
    from puna.accounts.money import amount

    return {
        "available": amount(balance.available_micros),
        "paid": amount(balance.credited_micros),
        "spent": amount(balance.spent_micros),
        "reserved": amount(balance.reserved_micros),
        "currency": balance.currency,
    }
