"""A copy is of one moment, whole or refused, and leads back on either database."""

from __future__ import annotations

import gzip
import json
import stat
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from puna.accounts import (
    OWNER_TENANT,
    Idempotency,
    Keys,
    Ledger,
    Recorded,
    Store,
    Tenants,
    migrations,
)
from puna.accounts.backup import backup, restore, tables
from puna.accounts.backup_file import check
from puna.accounts.store import engine_for
from puna.chat import Usage
from puna.errors import StoreError
from tests.accounts.world import World, check_books
from tests.postgres import Cluster


def contents(url: str) -> dict[str, list[Any]]:
    """Every row of every table."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in tables(connection)
        }
    engine.dispose()
    return rows


@pytest.fixture
def filled(world: World) -> World:
    """At least one row of each kind, bytes and JSON among them."""
    world.ledger.credit("acme", 10**9, note="naïve ☃ \n")
    admission = world.ledger.admit(world.caller, "smollm2", Usage(10, 10))
    world.ledger.settle(admission, Usage(10, 5), "success")
    world.ledger.admit(world.caller, "smollm2", Usage(10, 10))
    answer = Recorded(200, bytes(range(256)))
    Idempotency(world.store).once("a", "key", b"", lambda: answer)
    return world


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{folder}/other/puna.db"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.url(cluster.create())


def test_a_copy_leads_back_on_either_database(
    filled: World, url: str, other_url: str, folder: Path
) -> None:
    made = backup(filled.store, folder / "copy.gz")
    assert check(folder / "copy.gz") == made
    assert restore(folder / "copy.gz", other_url) == made
    assert contents(other_url) == contents(url)
    again = Store.open(other_url)
    assert backup(again, folder / "again.gz").rows == made.rows
    assert Keys(again).verify(filled.key.secret).tenant_id == filled.tenant.id
    Ledger(again).credit("acme", 5)  # rows are numbered on
    again.close()


def test_a_copy_during_writes_is_of_one_moment(filled: World, empty_url: str, folder: Path) -> None:
    """Each write changes three tables; a copy never holds a part of one."""
    over = Event()

    def write() -> None:
        while not over.is_set():
            admission = filled.ledger.admit(filled.caller, "smollm2", Usage(10, 10))
            filled.ledger.settle(admission, Usage(10, 5), "success")
            filled.ledger.credit("acme", 5)

    filled.ledger.release_stale(0)
    writers = [Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            backup(filled.store, folder / f"{number}.gz")
    finally:
        over.set()
        for writer in writers:
            writer.join()
    restore(folder / "4.gz", empty_url)
    copied = Store.open(empty_url)
    filled_ledger = Ledger(copied, filled.clock)
    filled_ledger.release_stale(0)
    check_books(copied)
    copied.close()


def write_copy(path: Path, header: dict[str, Any]) -> None:
    """Write what another Puna may have written: a header alone, with a checksum that holds."""
    line = json.dumps(header).encode() + b"\n"
    end = {"rows": 0, "sha256": sha256(line).hexdigest()}
    path.write_bytes(gzip.compress(line + json.dumps(end).encode() + b"\n"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"puna_backup": 2}, r"newer Puna \(format 2\); update Puna first"),
        ({"schema": "9999"}, r"newer Puna \(schema 9999\); update Puna first"),
        ({"puna_backup": "1"}, "no copy of Puna's accounts"),
    ],
    ids=str,
)
def test_a_copy_of_another_version_is_refused_and_nothing_is_made(
    folder: Path, changed: dict[str, Any], told: str
) -> None:
    header = {"puna_backup": 1, "schema": "0003", "made_at": "2026-11-24T12:00:00+00:00"}
    write_copy(folder / "copy", header | changed)
    with pytest.raises(StoreError, match=told):
        restore(folder / "copy", f"sqlite:///{folder}/new/puna.db")
    assert not (folder / "new").exists()


def test_an_older_copy_is_brought_up_to_date(folder: Path, empty_url: str) -> None:
    old = Store(engine_for(f"sqlite:///{folder}/old.db"))
    with old.engine.execution_options(immediate=True).begin() as connection:
        migrations.run(connection, "0001")
    assert backup(old, folder / "copy").schema == "0001"
    old.close()
    restore(folder / "copy", empty_url)
    store = Store.open(empty_url)
    newest = Store.open(f"sqlite:///{folder}/newest.db")
    assert migrations.current(store.engine) == migrations.current(newest.engine) != "0001"
    assert {tenant.id for tenant in Tenants(store).list()} == {OWNER_TENANT}
    store.close()
    newest.close()


def test_another_file_is_no_copy(folder: Path) -> None:
    (folder / "x").write_text("hello")
    with pytest.raises(StoreError, match="no copy"):
        check(folder / "x")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_copy_takes_the_place_of_a_copy_and_of_nothing_else(filled: World, folder: Path) -> None:
    copy, database = folder / "copy.gz", Path(str(filled.store.engine.url.database))
    first = backup(filled.store, copy)
    filled.ledger.credit("acme", 5)
    assert backup(filled.store, copy).rows > first.rows
    notes, link = folder / "notes.txt", folder / "link"
    notes.write_text("mine\n" * 1000)
    link.symlink_to(folder / "nowhere")
    for other in (database, notes, link):
        with pytest.raises((StoreError, OSError), match=r"name another file|No such file"):
            backup(filled.store, other)
    assert notes.read_text() == "mine\n" * 1000
    assert filled.ledger.balance("acme").available_micros
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestSpoilt:
    """One database is enough for what a file can have wrong."""

    @pytest.fixture
    def copy(self, filled: World, folder: Path) -> Path:
        backup(filled.store, folder / "copy.gz")
        return folder / "copy.gz"

    def test_it_is_readable_by_its_owner_alone(self, copy: Path) -> None:
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    def test_any_changed_byte_is_noticed_and_nothing_is_made(
        self, copy: Path, folder: Path
    ) -> None:
        good = gzip.decompress(copy.read_bytes())
        target = f"sqlite:///{folder}/new/puna.db"
        for place in range(0, len(good), 97):
            changed = bytearray(good)
            changed[place] ^= 1
            copy.write_bytes(gzip.compress(bytes(changed), 1))
            with pytest.raises(StoreError, match=r"not whole|no copy"):
                restore(copy, target)
        assert not (folder / "new").exists()

    @pytest.mark.parametrize("kept", [0, 10, 200, -9, -1])
    def test_a_cut_file_is_noticed(self, copy: Path, kept: int) -> None:
        copy.write_bytes(copy.read_bytes()[:kept])
        with pytest.raises(StoreError, match="not whole"):
            check(copy)

    def test_a_database_in_use_is_left_alone(self, copy: Path, url: str) -> None:
        before = contents(url)
        with pytest.raises(StoreError, match="in use already"):
            restore(copy, url)
        assert contents(url) == before

    def test_a_failed_copy_leaves_the_earlier_one(
        self, filled: World, copy: Path, folder: Path
    ) -> None:
        earlier = copy.read_bytes()
        filled.store.close()
        Path(str(filled.store.engine.url.database)).write_bytes(b"no database" * 999)
        with pytest.raises(Exception, match="not a database"):
            backup(filled.store, copy)
        assert copy.read_bytes() == earlier
        assert not list(folder.glob("*.part"))
