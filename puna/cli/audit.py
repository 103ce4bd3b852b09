"""`puna audit`: who changed what, and when."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import moment, open_store, show_rows

if TYPE_CHECKING:
    from puna.accounts.audit import Event

MOST = 100_000


def audit(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MOST, metavar="N", help="The latest N.")
    ] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show the latest changes of keys, people, tenants, plans and the like, the newest first."""
    from puna.accounts import Audit

    with open_store(context) as store:
        events = Audit(store).latest(limit)
    if as_csv:
        _write_csv(events)
        return
    show_rows([_row(event, as_json) for event in events], as_json, none="nothing was changed yet")


def _row(event: Event, as_json: bool) -> dict[str, Any]:
    detail = event.detail if as_json else " ".join(f"{k}={v}" for k, v in event.detail.items() if v)
    return {
        "since": moment(event.at),
        "who": event.actor,
        "what": event.action,
        "whom": event.target,
        "detail": detail,
    }


def _write_csv(events: list[Event]) -> None:
    from puna.accounts.usage import harmless

    writer = csv.writer(sys.stdout)
    writer.writerow(("at", "actor", "action", "target", "detail"))
    for event in events:
        detail = json.dumps(event.detail)
        cells = (moment(event.at) or "", event.actor, event.action, event.target, detail)
        writer.writerow([harmless(cell) for cell in cells])
