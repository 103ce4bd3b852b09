"""SQLite databases with the newest schema, each the copy of one that was migrated once.

In: a folder.  Out: the address of a database in it.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from puna.accounts import Store
from tests.postgres import memory_disk


def new_url(folder: Path) -> str:
    """Put one into a folder, unless there is one already; return its address."""
    path = folder / "puna.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="puna-template-", dir=memory_disk()) as folder:
        path = Path(folder) / "puna.db"
        Store.open(f"sqlite:///{path}").close()
        return path.read_bytes()
