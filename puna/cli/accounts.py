"""What the commands on accounts share: the database, tables, money.

In: the settings.  Out: an open store; rows as a table or as JSON on stdout.
Knows no command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.config import Settings

if TYPE_CHECKING:
    from puna.accounts import Store

MONEY = ("credits", "available", "paid", "spent", "reserved", "cost")
WHOLE = (*MONEY, "id", "key", "tenant", "state", "since", "day")  # are never broken into lines
GAP = 3  # columns of a terminal, at most, between two of a table
ACTOR = "cli"  # how the audit log calls whoever may run commands on this machine

Tenant = Annotated[
    str, typer.Option("--tenant", "-t", metavar="TENANT", help="A tenant's name or id.")
]
AnyTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant", "-t", metavar="TENANT", help="A tenant's name or id.", show_default="all"
    ),
]


@contextmanager
def open_store(context: typer.Context) -> Iterator[Store]:
    """Open the accounts of this machine, and close them after the command."""
    from puna.accounts import Store

    settings: Settings = context.obj
    store = Store.open(settings.database_url)
    try:
        yield store
    finally:
        store.close()


def tenants(store: Store, wanted: str | None) -> tuple[str | None, dict[str, str]]:
    """Return the id of the tenant that is wanted, None for all, and every tenant's name by id."""
    from puna.accounts import Tenants

    of = Tenants(store)
    return of.get(wanted).id if wanted else None, {one.id: one.name for one in of.list()}


def show_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, *, none: str) -> None:
    """Print rows under the first one's names; `none` goes to stderr where there are no rows."""
    if as_json:
        print(json.dumps([dict(row) for row in rows], default=str))
    elif rows:
        _print_table(rows)
    else:
        print(none, file=sys.stderr)


def show_facts(facts: Mapping[str, Any], as_json: bool) -> None:
    """Print one thing: name and value on each line."""
    if as_json:
        print(json.dumps(dict(facts), default=str))
        return
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}{_cell(value)}")


def moment(value: datetime | None) -> str | None:
    """Return a time as JSON has it, to the second, in UTC."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def day(value: datetime | None) -> str | None:
    """Return a time as a table has it: the day."""
    return None if value is None else f"{value:%Y-%m-%d}"


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
    for name, value in rows[0].items():
        is_number = isinstance(value, int) and not isinstance(value, bool)
        whole = is_number or name in WHOLE
        cells = [_cell(row[name]) for row in rows] if whole else []
        table.add_column(
            name.replace("_", " "),
            justify="right" if is_number or name in MONEY else "left",
            min_width=max(map(len, [*name.split("_"), *cells])),
            no_wrap=name in WHOLE,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console = Console(highlight=False)
    least = sum((column.min_width or 0) + GAP for column in table.columns)
    console.width = max(console.width, least)  # what does not fit goes on below, nothing is cut off
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(sorted(map(str, value)))
    return f"{value:,}" if isinstance(value, int) else str(value)
