"""Copies of a database: one portable file for SQLite and PostgreSQL alike.

In: a database in use.  Out: what it held at one moment, in a file; and the way back.
Knows the tables only as the database describes them, so that services' tables go along.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from puna.accounts import migrations, store
from puna.accounts.backup_file import (
    Copy,
    Record,
    check,
    groups,
    new_file,
    refuse_other,
    too_new,
    unpacked,
    write,
)
from puna.accounts.store import Store
from puna.errors import StoreError

VERSION_TABLE = "alembic_version"


def backup(source: Store, path: Path) -> Copy:
    """Write a copy of one moment; writers wait only while SQLite's file is copied.

    The file is readable by its owner alone: keys are in it as hashes, prices and names are not
    hidden.  It appears under its name when it is complete and on the disk, in place of an older
    copy; StoreError where another file has that name.
    """
    refuse_other(path)
    with _snapshot(source) as connection, new_file(path) as file:
        schema = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        return write(file, schema or "", _records(connection))


def restore(path: Path, url: str) -> Copy:
    """Fill an empty database from a copy, all or nothing, and bring its schema up to date."""
    copy = check(path)
    if not migrations.knows(copy.schema):
        raise too_new(path, f"schema {copy.schema}")
    engine = store.engine_for(url)
    try:
        _refuse_used(engine)
        with engine.execution_options(immediate=True).begin() as connection:
            migrations.run(connection, copy.schema)
            _fill(connection, path)
    finally:
        engine.dispose()
    Store.open(url).close()
    return copy


@contextmanager
def _snapshot(source: Store) -> Iterator[Connection]:
    """One moment of the database, to read from at leisure."""
    if not source.is_sqlite:
        engine = source.engine.execution_options(isolation_level="REPEATABLE READ")
        with engine.connect() as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix="puna-backup-") as folder:
        copied = Path(folder) / "copy.db"
        with source.engine.connect() as connection:
            _copy_pages(connection, copied)
        opened = create_engine(f"sqlite:///{copied}")
        try:
            with opened.connect() as connection:
                yield connection
        finally:
            opened.dispose()


def _copy_pages(connection: Connection, into: Path) -> None:
    target = sqlite3.connect(into)
    try:
        driver: Any = connection.connection.driver_connection
        driver.backup(target)
    finally:
        target.close()


def _records(connection: Connection) -> Iterator[Record]:
    """For each table its name and columns, then its rows as lists."""
    for table in tables(connection):
        names = [column.name for column in table.columns]
        yield {"table": table.name, "columns": names}
        for row in connection.execute(select(table).order_by(*table.primary_key.columns)):
            yield list(row)


def tables(connection: Connection) -> list[Table]:
    """The tables that a copy holds, each after those that it refers to.

    Indexes of words are left out: they follow from the text, and are not the same everywhere.
    """
    found, left_out = MetaData(), {VERSION_TABLE, *_search_indexes(connection)}
    found.reflect(connection, only=lambda name, _: name not in left_out)
    return [table for table in found.sorted_tables if not _holds_words(table)]


def _search_indexes(connection: Connection) -> set[str]:
    """SQLite's full-text indexes, and the tables that they consist of."""
    if connection.dialect.name != "sqlite":
        return set()
    rows = connection.exec_driver_sql(
        "SELECT index_.name, part.name FROM sqlite_master index_ JOIN sqlite_master part "
        "ON part.name = index_.name OR part.name GLOB index_.name || '_*' "
        "WHERE index_.sql LIKE 'CREATE VIRTUAL TABLE%' AND part.type = 'table'"
    )
    return {name for row in rows for name in row}


def _holds_words(table: Table) -> bool:
    return any(isinstance(column.type, TSVECTOR) for column in table.columns)


def _refuse_used(engine: Engine) -> None:
    with engine.connect() as connection:
        if inspect(connection).get_table_names():
            raise StoreError(
                f"{engine.url.render_as_string()} is in use already; a copy goes into an "
                "empty database: move the old one away first"
            )


def _fill(connection: Connection, path: Path) -> None:
    targets = {table.name: table for table in tables(connection)}
    for table in reversed(targets.values()):  # what the migrations put in is in the copy, too
        if connection.scalar(select(func.count()).select_from(table)):
            connection.execute(table.delete())
    for name, columns, rows in groups(path):
        table = targets[name]
        binary = [table.columns[column].type.python_type is bytes for column in columns]
        values = [dict(zip(columns, map(unpacked, row, binary), strict=True)) for row in rows]
        connection.execute(table.insert(), values)
    for table in targets.values():
        _continue_numbers(connection, table)


def _continue_numbers(connection: Connection, table: Table) -> None:
    """PostgreSQL counts rows apart from the table: go on after the last one."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    largest = connection.scalar(select(func.max(column)))
    sequence = func.pg_get_serial_sequence(table.name, column.name)
    if largest is not None:
        connection.execute(select(func.setval(sequence, largest)))
