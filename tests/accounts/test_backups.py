"""Copies in a folder: made one at a time, listed, fetched, thrown away; nothing else is reached."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from puna.accounts import Audit, Store, Tenants
from puna.accounts.backup import restore
from puna.accounts.backup_file import check
from puna.accounts.backups import Backups
from puna.errors import ConflictError, NotFoundError, StoreError
from tests.accounts.world import ManualClock


@pytest.fixture
def backups(store: Store, tmp_path: Path, clock: ManualClock) -> Backups:
    return Backups(store, tmp_path / "copies", clock)


def test_a_copy_is_made_listed_and_can_be_put_back(
    store: Store, backups: Backups, clock: ManualClock, tmp_path: Path
) -> None:
    assert backups.list() == []
    Tenants(store).create("acme")
    first = backups.make(actor="usr_ada")
    clock.move(61)
    second = backups.make()
    assert backups.list() == [second, first]
    assert (second.made_at - first.made_at).total_seconds() == 61
    path = backups.open(first.name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(backups.folder.stat().st_mode) == 0o700
    assert check(path).rows
    restore(path, f"sqlite:///{tmp_path}/other.db")
    other = Store.open(f"sqlite:///{tmp_path}/other.db")
    assert Tenants(other).get("acme").name == "acme"
    other.close()
    backups.delete(first.name)
    assert backups.list() == [second]
    noted = [(event.action, event.target) for event in Audit(store).latest()]
    assert {("backup.make", first.name), ("backup.fetch", first.name)} <= {*noted}
    assert ("backup.delete", first.name) in noted


@pytest.mark.parametrize("name", ["../puna.db", "puna.db", "puna-1.backup", "", ".."])
def test_no_other_file_is_reached(backups: Backups, tmp_path: Path, name: str) -> None:
    backups.make()
    (backups.folder / "puna.db").write_bytes(b"x")
    for deed in (backups.open, backups.delete):
        with pytest.raises(NotFoundError):
            deed(name)
    assert [one.name for one in backups.list()] == [
        path.name for path in backups.folder.iterdir() if path.suffix == ".backup"
    ]


def test_two_are_not_made_at_once_and_a_full_disk_is_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("no folder")
    backups = Backups(store, tmp_path / "copies")
    with pytest.raises(StoreError, match="no copy can be written"):
        backups.make()
    with backups._alone(), pytest.raises(ConflictError):  # as while one takes long
        backups.make()
