"""Brings a database's schema up to date; `versions/` holds one file for each step.

In: an engine.  Out: the newest schema, or an untouched database and a StoreError.
All steps stand in one transaction: an interrupted upgrade is undone, and done at the next start.
"""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

from puna.errors import StoreError

LOCK = 0x70756E61  # "puna": PostgreSQL's advisory lock, so that two starts upgrade one by one


def upgrade(engine: Engine) -> None:
    """Run the steps that the database lacks; StoreError if it is newer than this Puna."""
    if current(engine) == _steps().get_current_head():
        return  # the usual start takes no lock
    with engine.execution_options(immediate=True).begin() as connection:
        run(connection)


def current(engine: Engine) -> str | None:
    """Return the version of the database's schema; None where there is none yet."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def knows(version: str) -> bool:
    """Say whether this Puna has the steps that lead to a version."""
    try:
        return _steps().get_revision(version) is not None
    except CommandError:
        return False


def run(connection: Connection, target: str = "head") -> None:
    """Run the steps up to a version within the connection's transaction, one process at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    script = _steps()
    context = EnvironmentContext(
        Config(), script, fn=lambda now, _: script._upgrade_revs(target, now)
    )
    with context:
        context.configure(connection=connection, transactional_ddl=True)
        try:
            context.run_migrations()
        except (CommandError, ResolutionError) as error:
            raise StoreError(
                "the database was written by a newer Puna; update Puna, or restore an older copy"
            ) from error


def _steps() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))
