"""A PostgreSQL of the tests' own, from Debian's binaries, in a folder that goes away again.

In: nothing.  Out: addresses of empty databases, or of copies of a filled one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cached_property
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

from puna.accounts import Store

PLACES = [Path("/usr/lib/postgresql") / version / "bin" for version in ("17", "16", "15", "14")]
# Tests kill clients, never the machine: the cluster need not wait for the disk.
SPEED = "-c fsync=off -c full_page_writes=off -c max_connections=200 -c listen_addresses=''"

ROOM_BYTES = 2**30  # what a cluster and some databases may take


def find_binaries() -> Path | None:
    """Return the folder of initdb and pg_ctl."""
    return next((place for place in PLACES if (place / "initdb").exists()), None)


def memory_disk() -> Path | None:
    """Where a commit costs no time, if there is such a place."""
    shared = Path("/dev/shm")
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM_BYTES
    return shared if roomy else None


class Cluster:
    """A running server that only this machine's sockets reach."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # Copied as files, a database is there in a quarter of the time: before 15, always so.
        self._how = " STRATEGY FILE_COPY" if int(binaries.parent.name) >= 15 else ""
        self._numbers = count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="puna-postgres-", dir=memory_disk()))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "puna", "-N", "-E", "UTF8")
        self.start()
        self._engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")

    def start(self) -> None:
        """Let it run; also again, after `stop`."""
        options = f"-k {self.folder} {SPEED}"
        self._run("pg_ctl", "-D", "data", "-o", options, "-l", "log", "-w", "start")

    def stop(self) -> None:
        """End it as a crash would: every client is cut off."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://puna@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """Return the name of a new database."""
        name = f"test_{next(self._numbers)}"
        with self._engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{self._how}'))
        return name

    def migrated(self) -> str:
        """Return the name of a new database with the newest schema."""
        return self.create(self._template)

    @cached_property
    def _template(self) -> str:
        name = self.create()
        Store.open(self.url(name)).close()
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        with self._engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))

    def flush(self) -> None:
        """Bring everything from the server's memory to its files."""
        with self._engine.connect() as connection:
            connection.execute(text("CHECKPOINT"))

    def close(self) -> None:
        self._engine.dispose()
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        """PostgreSQL refuses to run as root: then it runs as Debian's user of that name."""
        subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self.folder,
            user="postgres" if os.geteuid() == 0 else None,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
