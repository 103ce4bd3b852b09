"""The disk: how much is left of it, so that what people send never fills it up.

In: folders, and bytes that are about to be written.  Out: nothing, or RoomError while there is
still room for the database, which needs some to delete anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from puna.errors import RoomError


class Disk:
    """The disks of these folders, of which `spare_bytes` stay free."""

    def __init__(self, folders: Collection[Path], spare_bytes: int) -> None:
        self._folders, self._spare_bytes = folders, spare_bytes

    def check(self, n_bytes: int = 0) -> None:
        """Raise RoomError where so many more would leave too little."""
        if any(self._left(folder) - n_bytes < self._spare_bytes for folder in self._folders):
            raise RoomError(
                "the server's disk is almost full, so it takes no files; whoever runs it can make "
                "room there"
            )

    @staticmethod
    def _left(folder: Path) -> int:
        return shutil.disk_usage(folder).free
