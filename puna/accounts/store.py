"""One database, one way to open it: SQLite in a file, or PostgreSQL.

In: a URL.  Out: transactions, read or write, on a schema that is up to date.
Does not know what the tables mean.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from puna.accounts import migrations, sqlite
from puna.accounts.schema import Base
from puna.errors import StoreError

__all__ = ["Base", "Store"]

POOL_CONNECTIONS = 8
POOL_MOST = 64  # more threads than a server has; who comes then waits for POOL_WAIT_S
POOL_WAIT_S = 30.0


class Store:
    """An open database.

    `read()` and `write()` are transactions, to be used in one thread.  One inside another joins
    it, so that what a caller does in several steps is kept whole or not at all; a step whose
    error is caught is undone alone.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._writers = sessionmaker(
            engine.execution_options(immediate=True), expire_on_commit=False
        )
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )
        self._thread = threading.local()

    @classmethod
    def open(cls, url: str) -> Self:
        """Open "sqlite:////path/puna.db" or "postgresql+psycopg://user@host/name".

        Passes the start gate and brings the schema up to date; StoreError where either fails.
        """
        engine = engine_for(url)
        store = cls(engine)
        try:
            if store.is_sqlite:
                sqlite.check(engine)
            migrations.upgrade(engine)
        except DatabaseError as error:
            store.close()
            raise StoreError(f"{_shown(engine)} cannot be opened: {_reason(error)}") from error
        except BaseException:
            store.close()
            raise
        return store

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one file on this machine."""
        return self.engine.dialect.name == "sqlite"

    @property
    def folder(self) -> Path | None:
        """Where on this machine the database lies; None where it is a server's."""
        name = self.engine.url.database
        return Path(name).parent if self.is_sqlite and name else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads; inside a write it sees what that has written."""
        joined: Session | None = getattr(self._thread, "session", None)
        if joined is not None:
            yield joined
            return
        with self._named_errors(), self._sessions() as session:
            if not self.is_sqlite:
                session.execute(text("SET TRANSACTION READ ONLY"))
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, durable when this is left without an exception, else undone."""
        joined: Session | None = getattr(self._thread, "session", None)
        if joined is not None:
            with joined.begin_nested():
                yield joined
            return
        # Threads of this process queue here, fairly and without polling the file's lock.
        with self._named_errors(), self._turn, self._writers() as session:
            self._thread.session = session
            try:
                with session.begin():
                    yield session
            finally:
                del self._thread.session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # the caller knows which rule of its own was broken
        except DatabaseError as error:
            message = f"{_shown(self.engine)} refused: {_reason(error)}; nothing of it is promised"
            raise StoreError(message) from error
        except PoolTimeout as error:
            message = f"{_shown(self.engine)} is too busy; try again"
            raise StoreError(message) from error


def engine_for(url: str) -> Engine:
    """Return an engine for the address; StoreError if it is none, or no fit place for a file."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return sqlite.engine(parsed)
        if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
            raise StoreError(
                f"Puna keeps accounts in SQLite or PostgreSQL, not {parsed.drivername}"
            )
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            poolclass=QueuePool,
            pool_size=POOL_CONNECTIONS,
            max_overflow=POOL_MOST - POOL_CONNECTIONS,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ArgumentError as error:
        wanted = "sqlite:////path/puna.db or postgresql+psycopg://user@host/name"
        raise StoreError(f"the database's address cannot be read; write {wanted}") from error


def _shown(engine: Engine) -> str:
    return f"the database {engine.url.render_as_string(hide_password=True)}"


def _reason(error: DatabaseError) -> str:
    """Return the database's own words on one line, without the statement and any values.

    PostgreSQL's details quote rows.
    """
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return " ".join((primary or str(error.orig)).split())
