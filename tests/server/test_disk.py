"""A disk that is almost full takes no files while there is still room for the database."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from puna.errors import RoomError
from puna.server.disk import Disk


def test_so_much_stays_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    gib = 2**30  # others write on this disk meanwhile, but not so much
    roomy, full = Disk([tmp_path], 1), Disk([tmp_path], free + gib)
    roomy.check()
    roomy.check(free // 2)
    for disk, more in ((full, 0), (roomy, free + gib)):
        with pytest.raises(RoomError, match="almost full"):
            disk.check(more)


def test_every_folder_counts_and_none_is_no_limit(tmp_path: Path) -> None:
    Disk([], 2**62).check()
    with pytest.raises(RoomError):
        Disk([Path("/proc"), tmp_path], 2**62).check()
