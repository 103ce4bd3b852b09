"""SQLite as Puna opens it: the start gate, and what every connection is told.

In: a path.  Out: an engine whose commits survive a power cut.
Source of the gate: sqlite.org's notice on the WAL-reset bug, and "How To Corrupt".
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from puna.errors import StoreError

BUSY_MS = 30_000  # how long another process's write is waited for
NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "9p", "afs", "fuse.sshfs", "ncpfs", "glusterfs")


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Say whether this SQLite is free of the WAL-reset bug, which can corrupt a file.

    It came with 3.7.0 and went with 3.51.3; 3.50.7 and 3.44.6 carry the correction, too.
    """
    branch, patch = version[:2], version[2]
    if branch in ((3, 50), (3, 44)):
        return patch >= {50: 7, 44: 6}[branch[1]]
    return version >= (3, 51, 3)


def engine(url: URL) -> Engine:
    """Return an engine for the file; StoreError where it cannot be kept safely."""
    if not url.database or url.database == ":memory:":
        raise StoreError("accounts need a file: sqlite:////path/puna.db")
    path = Path(url.database).absolute()
    _refuse_unsafe_place(path)
    made = create_engine(
        url.set(database=str(path)),
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=56,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )
    event.listen(made, "connect", _on_connect)
    event.listen(made, "begin", _on_begin)
    event.listen(made, "handle_error", _on_error)
    return made


def check(engine: Engine) -> None:
    """Read the whole file once; StoreError where it is damaged."""
    with engine.connect() as connection:
        for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check(1)"):
            if finding != "ok":
                raise StoreError(
                    f"the database {engine.url.database} is damaged ({finding}); "
                    "move it away and bring back a copy: puna restore FILE"
                )


def overwrite_deleted(session: Session) -> None:
    """Have SQLite overwrite what the transaction deletes; PostgreSQL's vacuum does it itself."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("PRAGMA secure_delete = ON"))


def _refuse_unsafe_place(path: Path) -> None:
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_network_disk(folder, Path("/proc/self/mountinfo").read_text())
        with tempfile.TemporaryFile(dir=folder):  # the journal stands beside the database
            pass
        # Nobody but the owner may read it; SQLite gives its journal the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"the database {path} cannot be written ({error.strerror}); "
            "make its folder writable, or set PUNA_HOME to another"
        ) from error


def refuse_network_disk(folder: Path, mountinfo: str) -> None:
    """Raise StoreError where other machines write the same disk."""
    kind = filesystem(folder, mountinfo)
    if kind.startswith(NETWORK_FILESYSTEMS):
        raise StoreError(
            f"{folder} is on {kind}, where SQLite's locks do not hold; "
            "set PUNA_HOME to a local disk, or use PostgreSQL"
        )


def filesystem(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds `path`, such as "ext4" or "nfs4"."""
    place, longest, kind = f"{path.resolve()}/", 0, ""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        point = mount.split()[4].encode().decode("unicode_escape").rstrip("/") + "/"
        if place.startswith(point) and len(point) >= longest:
            longest, kind = len(point), source.split()[0]
    return kind


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # SQLAlchemy begins each transaction through _on_begin, never Python's own guess.
    connection.isolation_level = None
    safe = wal_is_safe(sqlite3.sqlite_version_info)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute(f"PRAGMA journal_mode = {'WAL' if safe else 'TRUNCATE'}")
    connection.execute(f"PRAGMA synchronous = {'FULL' if safe else 'EXTRA'}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")


def _on_begin(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get("immediate"))
    connection.exec_driver_sql(f"PRAGMA query_only = {int(not writes)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _on_error(context: ExceptionContext) -> None:
    """Give up a connection that SQLite opened for reading alone, say for want of descriptors."""
    code = getattr(context.original_exception, "sqlite_errorcode", sqlite3.SQLITE_OK)
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True
