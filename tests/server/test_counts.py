"""Counts of requests under way are there after their process was killed, and only then."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from puna.chat import Usage
from puna.server.counts import Counts, _boot

DYING = """
import os, signal, sys
from pathlib import Path
from puna.chat import Usage
from puna.server.counts import Counts
counts = Counts(3, Path(sys.argv[1]))
counts.note("adm_first", Usage(7, 1, 5))
counts.note("adm_second", Usage())
counts.note("adm_second", Usage(9, 0, 0))  # an embedding
for said in range(2, 1000):
    counts.note("adm_first", Usage(7, said, 5))
counts.note("adm_first", Usage(7, 3, 5))
counts.note("adm_settled", Usage(9, 1, 0))
counts.forget("adm_settled")
os.kill(os.getpid(), signal.SIGKILL)
"""
BEGINNING = """
import os, signal, sys
from pathlib import Path
from puna.server.counts import Counts

def begin(left):
    def die(*_):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)  # told of each call to the system, before it
    Counts(3, Path(sys.argv[1]))
    os._exit(0)

for number in range(1, 1000):
    if (pid := os.fork()) == 0:
        begin(number)
    if os.waitpid(pid, 0)[1] == 0:
        break
print(number - 1)
"""
LEFT = {"adm_first": Usage(7, 999, 5), "adm_second": Usage(9, 0, 0)}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a process that was killed."""
    folder = tmp_path_factory.mktemp("killed")
    died = subprocess.run([sys.executable, "-c", DYING, str(folder)], check=False)
    assert died.returncode == -signal.SIGKILL
    (file,) = folder.iterdir()
    return file


def test_what_a_killed_process_counted_is_read_once(tmp_path: Path, left: Path) -> None:
    for number in range(2):
        shutil.copy(left, tmp_path / f"{left.stem}{number}.counts")
    mine = Counts(2, tmp_path)
    mine.note("adm_mine", Usage(1, 1, 0))
    assert list(mine.left_behind()) == [LEFT, LEFT]
    assert list(mine.left_behind()) == []
    mine.close()
    assert os.listdir(tmp_path) == []


def test_it_is_kept_until_it_is_in_the_books(tmp_path: Path, left: Path) -> None:
    shutil.copy(left, tmp_path)
    mine = Counts(2, tmp_path)
    writing = mine.left_behind()
    next(writing)
    with pytest.raises(KeyError):
        writing.throw(KeyError("the database is away"))
    assert list(mine.left_behind()) == [LEFT]


def test_another_boots_file_is_not_trusted(tmp_path: Path, left: Path) -> None:
    shutil.copy(left, tmp_path / f"another{left.name}")
    assert list(Counts(2, tmp_path).left_behind()) == []
    assert len(os.listdir(tmp_path)) == 1  # our own


def test_a_process_killed_as_it_begins_leaves_nothing_for_long(tmp_path: Path) -> None:
    """At each of its calls: the next start reads nothing there, and clears it."""
    folder = tmp_path / "counts"
    command = [sys.executable, "-c", BEGINNING, str(folder)]
    kills = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(kills) > 5
    assert len(os.listdir(folder)) > 1
    mine = Counts(2, folder)
    assert [counted for counted in mine.left_behind() if counted] == []
    assert len(os.listdir(folder)) == 1  # our own
    mine.close()


@pytest.mark.parametrize("left", ["some.new", f"{_boot()}-0000.counts"])
def test_half_a_file_is_nothing(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_bytes(b"half")
    mine = Counts(2, tmp_path)
    assert [counted for counted in mine.left_behind() if counted] == []
    assert len(os.listdir(tmp_path)) == 1
    mine.close()


def test_without_a_folder_they_are_in_memory() -> None:
    counts = Counts(1)
    for name in ("adm_first", "adm_second"):
        counts.note(name, Usage(1, 1, 0))
        counts.forget(name)
    assert list(counts.left_behind()) == []
    counts.close()
