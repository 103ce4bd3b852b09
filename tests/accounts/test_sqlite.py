"""The start gate: SQLite is used only where, and as, it is safe."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from puna.accounts import Store
from puna.accounts.sqlite import filesystem, refuse_network_disk, wal_is_safe
from puna.errors import StoreError

MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /srv rw - nfs4 server:/srv rw
31 30 0:26 / /srv/local rw - xfs /dev/sdb1 rw
32 22 0:27 / /with\\040space rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
    ],
)
def test_a_write_ahead_log_is_used_only_where_it_cannot_corrupt(
    version: tuple[int, ...], safe: bool
) -> None:
    assert wal_is_safe(version) is safe


@pytest.mark.parametrize("kind", ["read", "write"])
def test_commits_wait_for_the_disk(tmp_path: Path, kind: str) -> None:
    """Keys, ledger and conversations share one store: what any of its connections was told."""
    store = Store.open(f"sqlite:///{tmp_path}/puna.db")
    wanted: dict[str, object] = {
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "query_only": int(kind == "read"),
    }
    if wal_is_safe(sqlite3.sqlite_version_info):
        wanted |= {"journal_mode": "wal", "synchronous": 2}
    else:
        wanted |= {"journal_mode": "truncate", "synchronous": 3}
    with store.read() if kind == "read" else store.write() as session:
        assert {name: session.scalar(text(f"PRAGMA {name}")) for name in wanted} == wanted
    store.close()


def test_many_threads_have_connections_that_were_all_told(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/puna.db")
    together = Barrier(8)

    def synchronous(_: int) -> Any:
        with store.read() as session:
            together.wait()  # each has a connection of its own
            return session.scalar(text("PRAGMA synchronous"))

    with ThreadPoolExecutor(8) as pool:
        told = set(pool.map(synchronous, range(8)))
    assert told == {2 if wal_is_safe(sqlite3.sqlite_version_info) else 3}
    store.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/me", "ext4"), ("/srv/puna", "nfs4"), ("/srv/local/puna", "xfs"), ("/srvx", "ext4")],
)
def test_the_file_system_of_a_path_is_found(path: str, kind: str) -> None:
    assert filesystem(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("path", ["/srv/puna", "/with space/puna"])
def test_a_network_disk_is_refused(path: str) -> None:
    with pytest.raises(StoreError, match="locks do not hold; set PUNA_HOME to a local disk"):
        refuse_network_disk(Path(path), MOUNTS)


@pytest.mark.parametrize("folder", ["/sys/kernel", "/dev/null"])
def test_a_folder_that_cannot_be_written_is_refused(folder: str) -> None:
    with pytest.raises(StoreError, match=r"cannot be written .*; make its folder writable"):
        Store.open(f"sqlite:///{folder}/puna.db")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "puna.db"
    Store.open(f"sqlite:///{path}").close()
    spoilt = bytearray(path.read_bytes())
    spoilt[4096:] = bytes(byte ^ 0x55 for byte in spoilt[4096:])
    path.write_bytes(spoilt)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        Store.open(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "puna.db").write_text("not a database, " * 300)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{tmp_path}/puna.db")
