"""Files that a person attached: kept as they came, cut into passages, searched, deleted for good.

In: an owner, a name and bytes; later a question.  Out: files, and passages that answer it.
Does not know how a file is parsed (reading/), nor how passages are found (library.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, Select, String, func, select
from sqlalchemy.orm import Mapped, Session, deferred, mapped_column

from puna.accounts.schema import Base, Clock, Moment, RowNumber, new_id, utc_now
from puna.accounts.sqlite import overwrite_deleted
from puna.accounts.store import Store
from puna.errors import RoomError
from puna.services.assistant.indexes import EVERY_INDEX, forget_file
from puna.services.assistant.library import Library, OfFile
from puna.services.assistant.owner import Owned, Owner, found, own
from puna.services.assistant.passages import Passage, cut
from puna.services.assistant.ranking import Embedder
from puna.services.assistant.reading import ReadingLimits, read
from puna.services.assistant.reading.kinds import MEDIA_TYPES
from puna.services.assistant.sweeper import sweep

LONGEST_NAME = 200


@dataclass(frozen=True)
class FileLimits:
    """What one person may keep."""

    files: int = 500
    bytes_in_all: int = 500 * 2**20
    reading: ReadingLimits = field(default_factory=ReadingLimits)


@dataclass(frozen=True)
class File:
    """An attached file; `pages` is 0 where the kind has none."""

    id: str
    name: str
    media_type: str
    n_bytes: int
    pages: int
    passages: int
    words: int
    conversation_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class Found:
    """A passage that answers, and the file in which it stands."""

    file_id: str
    name: str
    passage: Passage


@dataclass(frozen=True)
class Kept:
    """What a person keeps now, and may keep."""

    files: int
    n_bytes: int
    limits: FileLimits


class FileRow(Owned, Base):
    """One file."""

    __tablename__ = "assistant_files"

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("assistant_conversations.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    media_type: Mapped[str] = mapped_column(String(100))
    n_bytes: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = deferred(mapped_column(LargeBinary))
    pages: Mapped[int] = mapped_column(Integer)
    passages: Mapped[int] = mapped_column(Integer)
    words: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Moment)
    holder: Mapped[str | None] = mapped_column(String(200))  # whose import brings it, until its end

    def file(self) -> File:
        """Return it as plain data."""
        return File(
            self.id,
            self.name,
            self.media_type,
            self.n_bytes,
            self.pages,
            self.passages,
            self.words,
            self.conversation_id,
            self.created_at,
        )


class Files:
    """Every person's files."""

    def __init__(
        self,
        store: Store,
        limits: FileLimits | None = None,
        embedder: Embedder | None = None,
        clock: Clock = utc_now,
        sweep_soon: Callable[[], None] | None = None,
    ) -> None:
        self._store, self._clock = store, clock
        self._sweep = sweep_soon or partial(sweep, store, EVERY_INDEX)
        self.limits = limits or FileLimits()
        self._library = Library(embedder)

    def add(
        self,
        owner: Owner,
        name: str,
        data: bytes,
        *,
        conversation_id: str | None = None,
        holder: str | None = None,
    ) -> File:
        """Read a file and keep it; FileRefusedError where it cannot be read, RoomError where full.

        The same bytes under the same name are kept once.  With a `holder`, an import brings it.
        """
        name = file_name(name)
        self.check_room(owner, n_bytes=len(data))
        if known := self._known(owner, name, data, conversation_id):
            return known
        document = read(name, data, self.limits.reading)
        passages = list(cut(document))
        vectors = self._library.vectors(passages)
        row = FileRow(
            id=new_id("fil"),
            tenant_id=owner.tenant_id,
            user_id=owner.user_id,
            conversation_id=conversation_id,
            name=name,
            media_type=MEDIA_TYPES[document.kind],
            n_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content=data,
            pages=document.pages,
            passages=len(passages),
            words=sum(len(line.text.split()) for line in document.lines),
            created_at=self._clock(),
            holder=holder,
        )
        with self._store.write() as session:
            self.check_room(owner, n_bytes=len(data))
            session.add(row)
            session.flush()
            self._library.keep(session, row.id, passages, vectors)
        return row.file()

    def get(self, owner: Owner, file_id: str) -> File:
        """Return a file; NotFoundError where it is not this person's."""
        with self._store.read() as session:
            return _find(session, owner, file_id).file()

    def content(self, owner: Owner, file_id: str) -> bytes:
        """Return the bytes as they came."""
        with self._store.read() as session:
            return _find(session, owner, file_id).content

    def passage(self, owner: Owner, file_id: str, ordinal: int) -> Found:
        """Return one passage, for a citation that is opened."""
        with self._store.read() as session:
            file = _find(session, owner, file_id)
            passage = self._library.passage(session, file.id, ordinal)
            return Found(file.id, file.name, passage)

    def list(self, owner: Owner, *, conversation_id: str | None = None) -> list[File]:
        """Return the files, of one conversation or all, the latest first."""
        query = own(select(FileRow), FileRow, owner).order_by(FileRow.number.desc())
        if conversation_id is not None:
            query = query.where(FileRow.conversation_id == conversation_id)
        with self._store.read() as session:
            return [row.file() for row in session.scalars(query)]

    def attach(self, owner: Owner, file_ids: Sequence[str], conversation_id: str) -> None:
        """Let files without a conversation belong to this one; each must be this person's."""
        with self._store.write() as session:
            rows = [_find(session, owner, file_id) for file_id in file_ids]
            for row in rows:
                row.conversation_id = row.conversation_id or conversation_id

    def delete(self, owner: Owner, file_id: str) -> None:
        """Delete a file with its passages and their words, for good."""
        with self._store.write() as session:
            overwrite_deleted(session)
            row = _find(session, owner, file_id)
            forget_file(session, row.id)
            session.delete(row)
        self._sweep()

    def mend(self) -> int:
        """Index the passages that are not: a restored copy brings none.  Return how many."""
        with self._store.write() as session:
            return self._library.mend(session)

    def kept(self, owner: Owner) -> Kept:
        """Return what the person keeps."""
        query = own(
            select(func.count(FileRow.number), func.coalesce(func.sum(FileRow.n_bytes), 0)),
            FileRow,
            owner,
        )
        with self._store.read() as session:
            files, n_bytes = session.execute(query).one()
        return Kept(int(files), int(n_bytes), self.limits)

    def check_room(self, owner: Owner, *, files: int = 1, n_bytes: int = 0) -> None:
        """Raise RoomError where so many more would be too many, or too large together."""
        kept = self.kept(owner)
        if kept.files + files > self.limits.files:
            raise RoomError(
                f"you keep {kept.files} files, and may keep {self.limits.files}; delete some first"
            )
        if kept.n_bytes + n_bytes > self.limits.bytes_in_all:
            raise RoomError(
                f"your files may take {self.limits.bytes_in_all >> 20} MiB in all, and this would "
                "pass it; delete others first"
            )

    def search(
        self, owner: Owner, question: str, *, file_ids: Sequence[str] | None = None, limit: int = 6
    ) -> Sequence[Found]:
        """Return the passages that answer best, of these files or of all that the person has."""
        with self._store.read() as session:
            files = _scope(owner, file_ids)
            return _named(session, self._library.search(session, files, question, limit))

    def beginning(
        self, owner: Owner, file_ids: Sequence[str], *, limit: int = 200
    ) -> Sequence[Found]:
        """Return the first passages of these files, file by file."""
        with self._store.read() as session:
            files = _scope(owner, file_ids)
            return _named(session, self._library.beginning(session, files, limit))

    def _known(
        self, owner: Owner, name: str, data: bytes, conversation_id: str | None
    ) -> File | None:
        query = own(select(FileRow), FileRow, owner).where(
            FileRow.sha256 == hashlib.sha256(data).hexdigest(),
            FileRow.name == name,
            FileRow.conversation_id == conversation_id,
        )
        with self._store.read() as session:
            row = session.scalars(query).first()
            return row.file() if row else None


def file_name(name: str) -> str:
    """Return a name without folders and controls, cut in front of its ending."""
    name = PurePosixPath(name.replace("\\", "/")).name
    name = "".join(letter for letter in name if letter.isprintable()).strip()
    suffix = PurePosixPath(name).suffix[:20]
    if len(name) > LONGEST_NAME:
        name = name[: LONGEST_NAME - len(suffix)] + suffix
    return name or "file"


def _find(session: Session, owner: Owner, file_id: str) -> FileRow:
    query = own(select(FileRow), FileRow, owner).where(FileRow.id == file_id)
    row: FileRow = found(session, query, "file", file_id)
    return row


def _scope(owner: Owner, file_ids: Sequence[str] | None) -> Select[Any]:
    scope = own(select(FileRow.id), FileRow, owner)
    return scope if file_ids is None else scope.where(FileRow.id.in_(file_ids))


def _named(session: Session, passages: Sequence[OfFile]) -> list[Found]:
    """Return passages with the names of their files."""
    ids = {file_id for file_id, _ in passages}
    rows = session.execute(select(FileRow.id, FileRow.name).where(FileRow.id.in_(ids)))
    names = {row.id: row.name for row in rows}
    return [Found(file_id, names[file_id], passage) for file_id, passage in passages]
