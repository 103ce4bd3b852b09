"""`puna backup` and `puna restore`: copies of the accounts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli import options
from puna.cli.accounts import open_store, show_facts
from puna.config import Settings

if TYPE_CHECKING:
    from puna.accounts.backup_file import Copy


def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; an older copy there is replaced.")
    ],
    as_json: options.Json = False,
) -> None:
    """Copy the accounts to a file, also while the server runs.

    One format for SQLite and PostgreSQL: gzipped JSON lines with a checksum. Keys and passwords are
    in it as hashes; names, prices and the ledger are plain, so keep it as you keep the database.
    """
    from puna.accounts.backup import backup as copy_to

    with open_store(context) as store:
        copy = copy_to(store, file)
    _show(copy, file, as_json)


def restore(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A copy.")
    ],
    as_json: options.Json = False,
) -> None:
    """Fill an empty database from a copy; the checksum is looked at first.

    Stop the server and move an old database away before.
    """
    from puna.accounts.backup import restore as copy_from

    settings: Settings = context.obj
    copy = copy_from(file, settings.database_url)
    _show(copy, file, as_json)
    print("restored", file=sys.stderr)


def _show(copy: Copy, file: Path, as_json: bool) -> None:
    show_facts({"file": str(file), **vars(copy)}, as_json)
