"""Copies of a database: one portable file for SQLite and PostgreSQL alike.

In: a database in use.  Out: gzipped JSON lines of one moment, with a checksum; and the way back.
Knows the tables only as the database describes them, so that services' tables go along.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
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
from puna.accounts.schema import utc_now
from puna.accounts.store import Store
from puna.errors import StoreError

FORMAT = 1
VERSION_TABLE = "alembic_version"
BATCH_ROWS = 500


@dataclass(frozen=True)
class Copy:
    """What a copy holds."""

    made_at: str
    schema: str
    rows: int
    sha256: str


def backup(source: Store, path: Path) -> Copy:
    """Write a copy of one moment; writers wait only while SQLite's file is copied.

    The file is readable by its owner alone: keys are in it as hashes, prices and names are not
    hidden.  It appears under its name when it is complete and on the disk, in place of an older
    copy; StoreError where another file has that name.
    """
    _refuse_other(path)
    with _snapshot(source) as connection, _new_file(path) as file:
        return _dump(connection, file)


def check(path: Path) -> Copy:
    """Read a copy whole; StoreError if a byte of it is not as it was written."""
    digest, rows = sha256(), 0
    header: dict[str, Any] = {}
    end: Any = None
    for line in _lines(path):
        record = _record(path, line)
        header = header or _header(path, record)
        if end is not None:
            raise _not_whole(path)
        if isinstance(record, dict) and "sha256" in record:
            end = record
        else:
            digest.update(line)
            rows += isinstance(record, list)
    if end != {"rows": rows, "sha256": digest.hexdigest()}:
        raise _not_whole(path)
    return Copy(header["made_at"], header["schema"], rows, digest.hexdigest())


def restore(path: Path, url: str) -> Copy:
    """Fill an empty database from a copy, all or nothing, and bring its schema up to date."""
    copy = check(path)
    if not migrations.knows(copy.schema):
        raise _too_new(path, f"schema {copy.schema}")
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


def _refuse_other(path: Path) -> None:
    """A copy takes an older copy's place and no other file's, such as the database's own."""
    if not os.path.lexists(path):
        return
    try:
        _header(path, _record(path, next(_lines(path), b"")))
    except StoreError as error:
        raise StoreError(
            f"{path} is there already and is no copy that this Puna made; name another file"
        ) from error


@contextmanager
def _new_file(path: Path) -> Iterator[gzip.GzipFile]:
    """A file that takes its name only when it is complete and on the disk."""
    number, name = tempfile.mkstemp(".part", f"{path.name}.", path.parent)  # for its owner alone
    part = Path(name)
    try:
        with open(number, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
                yield file
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _dump(connection: Connection, file: gzip.GzipFile) -> Copy:
    digest, rows = sha256(), 0
    schema = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    header = {
        "puna_backup": FORMAT,
        "schema": schema,
        "made_at": utc_now().isoformat("T", "seconds"),
    }
    for record in _records(connection, header):
        line = json.dumps(record, default=_packed, ensure_ascii=False).encode() + b"\n"
        file.write(line)
        digest.update(line)
        rows += isinstance(record, list)
    end = {"rows": rows, "sha256": digest.hexdigest()}
    file.write(json.dumps(end).encode() + b"\n")
    return Copy(header["made_at"], schema or "", rows, digest.hexdigest())


def _records(
    connection: Connection, header: dict[str, Any]
) -> Iterator[dict[str, Any] | list[Any]]:
    """The header; for each table its name and columns, then its rows as lists."""
    yield header
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


def _packed(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"a column holds {type(value).__name__}, which a copy cannot carry")


def _unpacked(value: Any, binary: bool) -> Any:
    return base64.b64decode(value["base64"]) if binary and value is not None else value


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _not_whole(path) from error


def _record(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _not_whole(path) from error


def _header(path: Path, record: Any) -> dict[str, Any]:
    version = record.get("puna_backup") if isinstance(record, dict) else None
    if not isinstance(version, int) or version < 1:
        raise StoreError(f"{path} is no copy of Puna's accounts")
    if version > FORMAT:
        raise _too_new(path, f"format {version}")
    return dict(record)


def _too_new(path: Path, what: str) -> StoreError:
    return StoreError(f"the copy {path} was made by a newer Puna ({what}); update Puna first")


def _not_whole(path: Path) -> StoreError:
    return StoreError(f"the copy {path} is not whole, was changed, or is no copy; take another one")


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
    for name, columns, rows in _groups(_lines(path)):
        table = targets[name]
        binary = [table.columns[column].type.python_type is bytes for column in columns]
        values = [dict(zip(columns, map(_unpacked, row, binary), strict=True)) for row in rows]
        connection.execute(table.insert(), values)
    for table in targets.values():
        _continue_numbers(connection, table)


def _groups(lines: Iterable[bytes]) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """Yield table, columns and some rows, again and again."""
    name = ""
    columns: list[str] = []
    rows: list[list[Any]] = []
    for line in lines:
        record = json.loads(line)
        if isinstance(record, list):
            rows.append(record)
        if rows and (len(rows) == BATCH_ROWS or isinstance(record, dict)):
            yield name, columns, rows
            rows = []
        if isinstance(record, dict) and "table" in record:
            name, columns = record["table"], record["columns"]


def _continue_numbers(connection: Connection, table: Table) -> None:
    """PostgreSQL counts rows apart from the table: go on after the last one."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    largest = connection.scalar(select(func.max(column)))
    sequence = func.pg_get_serial_sequence(table.name, column.name)
    if largest is not None:
        connection.execute(select(func.setval(sequence, largest)))
