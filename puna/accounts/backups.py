"""Copies of the database that lie in one folder, for the owner to see, fetch and throw away.

In: a store and a folder.  Out: copies by name, the latest first.
Knows nothing of what is in them: backup.py writes and reads them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from puna.accounts import audit
from puna.accounts.backup import backup
from puna.accounts.schema import Clock, utc_now
from puna.accounts.store import Store
from puna.errors import ConflictError, NotFoundError, StoreError

NAME = re.compile(r"puna-\d{8}-\d{6}\.backup", re.ASCII)


@dataclass(frozen=True)
class Kept:
    """One copy; `made_at` is as its name says."""

    name: str
    made_at: datetime
    n_bytes: int


class Backups:
    """The copies of one database; one is made at a time."""

    def __init__(self, store: Store, folder: Path, clock: Clock = utc_now) -> None:
        self.folder = folder
        self._store, self._clock = store, clock
        self._making = threading.Lock()

    def make(self, *, actor: str = "system") -> Kept:
        """Copy the database now; ConflictError while another copy is being made."""
        with self._alone():
            name = f"puna-{self._clock():%Y%m%d-%H%M%S}.backup"
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                backup(self._store, self.folder / name)
            except OSError as error:
                raise StoreError(f"no copy can be written to {self.folder}: {error}") from error
            self._note(actor, "backup.make", name)
        return _kept(self.folder / name)

    def list(self) -> list[Kept]:
        """Return what is there, the latest first."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        return [_kept(path) for path in sorted(found, reverse=True)]

    def open(self, name: str, *, actor: str = "system") -> Path:
        """Return where a copy lies, for somebody who takes it away; NotFoundError if nowhere."""
        path = self._path(name)
        self._note(actor, "backup.fetch", name)
        return path

    def delete(self, name: str, *, actor: str = "system") -> None:
        """Throw a copy away."""
        self._path(name).unlink(missing_ok=True)
        self._note(actor, "backup.delete", name)

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if not NAME.fullmatch(name) or not path.is_file():
            raise NotFoundError(f"there is no copy {name!r}")
        return path

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._making.acquire(blocking=False):
            raise ConflictError("a copy is being made; it is in the list as soon as it is whole")
        try:
            yield
        finally:
            self._making.release()

    def _note(self, actor: str, action: str, name: str) -> None:
        with self._store.write() as session:
            audit.note(session, self._clock(), actor, action, name)


def _kept(path: Path) -> Kept:
    when = datetime.strptime(path.name, "puna-%Y%m%d-%H%M%S.backup").replace(tzinfo=UTC)
    return Kept(path.name, when, path.stat().st_size)
