"""The power goes at any moment: the file is sound, and what was promised is there."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from puna.accounts import Ledger, Store
from tests.accounts.power import Change, File, Recording
from tests.accounts.world import check_books
from tests.postgres import memory_disk

CUTS, ROUNDS = 500, 25
WRITER = f"""
import sys
from pathlib import Path
from tests.accounts.writer import prepare, write

url, log = sys.argv[1:]
prepare(url)
write(url, Path(log), 1, range({ROUNDS}))
"""
WRITTEN = {
    "entry": "SELECT reference FROM entries",
    "key": "SELECT id FROM keys",
}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on this machine")
def test_whenever_the_power_goes_what_was_promised_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/puna.db"
    recording = Recording(tmp_path, WRITER, "promised", url, str(tmp_path / "promised"))
    calls = Counter(call.name for call in recording.calls)
    assert calls["pwrite64"] > 10 * ROUNDS
    assert calls["fsync"] + calls["fdatasync"] > 5 * ROUNDS
    most = 0
    for files, promised in recording.cuts(Random(20261124), CUTS):
        check_image(files, promised)
        most = max(most, len(promised))
    assert most > 2 * ROUNDS
    check_start(files)


def check_image(files: dict[str, bytes], promised: list[str]) -> None:
    """The database of these files is sound and keeps its promises."""
    with (
        tempfile.TemporaryDirectory(prefix="puna-power-", dir=memory_disk()) as folder,
        closing(opened(files, Path(folder))) as database,
    ):
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not promised:  # it may not even have its tables
            return
        there = {
            f"{kind} {name}"
            for kind, query in WRITTEN.items()
            for (name,) in database.execute(query)
        }
        assert there.issuperset(promised)


def check_start(files: dict[str, bytes]) -> None:
    """Puna starts on it, settles what was under way, and the books balance."""
    with tempfile.TemporaryDirectory(prefix="puna-power-") as folder:
        opened(files, Path(folder)).close()
        store = Store.open(f"sqlite:///{folder}/puna.db")
        Ledger(store).release_stale()
        check_books(store)
        store.close()


def opened(files: dict[str, bytes], folder: Path) -> sqlite3.Connection:
    for name, content in files.items():
        if not name.endswith("-shm"):  # SQLite makes it anew
            (folder / name).write_bytes(content)
    return sqlite3.connect(folder / "puna.db")


def test_what_the_disk_was_not_told_to_keep_may_be_lost() -> None:
    """The test can fail: without a word to the disk, a promise is broken soon."""
    file = File(bytearray(b"old"))
    file.pending.append(Change(0, b"new"))
    outcomes = {file.after_power_cut(Random(seed)) for seed in range(20)}
    assert outcomes == {b"old", b"new"}
    file.keep()
    assert {file.after_power_cut(Random(seed)) for seed in range(20)} == {b"new"}
