"""`puna usage` and `puna invoice`: what was used, and what it cost."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from puna.cli import options
from puna.cli.accounts import AnyTenant, open_store, show_rows
from puna.cli.newfile import write_new

Day = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="As 2026-11-24, UTC.")
]


def usage(
    context: typer.Context,
    *,
    tenant: AnyTenant = None,
    since: Day = None,
    until: Day = None,
    by: Annotated[
        str,
        typer.Option("--by", metavar="COLUMNS", help="Any of day, tenant, key, model."),
    ] = "day,tenant,key,model",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show requests, tokens and costs by day, tenant, key and model."""
    from puna.accounts import Tenants
    from puna.accounts.money import amount
    from puna.accounts.usage import COLUMNS, UsageReport
    from puna.accounts.usage import as_csv as csv_of

    columns = [column for column in COLUMNS if column in by.split(",")]
    if unknown := set(by.split(",")) - set(COLUMNS):
        raise typer.BadParameter(f"{unknown.pop()!r} is no column", param_hint="--by")
    with open_store(context) as store:
        rows = UsageReport(store).rows(
            by=columns,
            tenant_id=Tenants(store).get(tenant).id if tenant else None,
            since=_day(since),
            until=_day(until),
        )
    if as_csv:
        sys.stdout.write(csv_of(rows))
        return
    facts = [{name: v for name, v in asdict(row).items() if v != ""} for row in rows]
    if not as_json:
        costs = [f"{amount(f.pop('cost_micros'))} {f.pop('currency')}" for f in facts]
        facts = [f | {"cost": cost} for f, cost in zip(facts, costs, strict=True)]
    show_rows(facts, as_json, none="nothing was used yet")


def invoice(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's name or id.")],
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-11.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here.", show_default="stdout"),
    ] = None,
    seller: Annotated[
        str, typer.Option("--seller", metavar="NAME", help="Who it is from.")
    ] = "Puna",
) -> None:
    """Write a tenant's invoice for a month: a page that a browser prints to PDF."""
    from puna.accounts.invoice import Invoices, as_html

    with open_store(context) as store:
        page = as_html(Invoices(store).get(tenant, month), seller)
    if output is None:
        sys.stdout.write(page)
    else:
        write_new(output, page)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
