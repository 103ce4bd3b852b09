"""A PostgreSQL server of the tests' own, on a socket in a folder, gone when they end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text


def binaries() -> Path | None:
    """Return the folder of the server's programs; Debian keeps them out of PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in [*map(Path, os.environ.get("PATH", "").split(":")), *places]:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    return None


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """Yield the address of a server; each test makes a database of its own in it."""
    # A socket's path may have 107 bytes, fewer than pytest's folders take.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        _run(
            user,
            programs / "initdb",
            "-D",
            folder / "data",
            "-U",
            "puna",
            "-A",
            "trust",
            "-E",
            "UTF8",
        )
        settings = f"-c listen_addresses= -c fsync=off -c unix_socket_directories={folder}"
        _run(
            user,
            programs / "pg_ctl",
            "-D",
            folder / "data",
            "-w",
            "-l",
            folder / "log",
            "-o",
            settings,
            "start",
        )
        yield f"postgresql+psycopg://puna@/{{name}}?host={folder}"
    finally:
        if (folder / "data").exists():
            _run(user, programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str) -> str:
    """Make an empty database and return its address."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(name=name)


def _run(user: str | None, *command: object) -> None:
    subprocess.run(
        list(map(str, command)), user=user, check=True, stdout=subprocess.DEVNULL, cwd="/"
    )
