"""Conversations with their files as one zip archive, taken out and brought back.

In: an owner; later an archive, or JSON alone, that strangers may have made.  Out: the archive
piece by piece; new conversations and files, all or none, also where a crash cuts an import off.
docs/decisions/0006 has the layout.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import IO, Any

from sqlalchemy import select, update

from puna.accounts import holder
from puna.accounts.store import Store
from puna.errors import NotFoundError, TooLargeError
from puna.services.assistant.archive import Archive, Ids
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.files import LONGEST_NAME, File, FileRow, Files
from puna.services.assistant.owner import Owner
from puna.services.assistant.saved import (
    SavedConversation,
    SavedFile,
    SavedFiles,
    checked,
    conversations_in,
    parsed,
)
from puna.services.assistant.zipped import Zipped, is_zip, refused

FILES = "files.json"  # names them, with their ids and hashes
TALKS = "conversations/"
DOCUMENT_BYTES = 16 * 2**20  # of one JSON document: parsed, it takes up to 25 times as much memory
DOCUMENTS_BYTES = 64 * 2**20  # of all in one archive
PACKED = 3  # how hard zip tries: most files are packed already


@dataclass(frozen=True)
class Brought:
    """What came in; `missing` files are mentioned, but not in the archive."""

    conversations: int
    files: int
    missing: int


@dataclass(frozen=True)
class Bundle:
    """What an archive holds, validated; its files' bytes are still in it."""

    talks: Sequence[SavedConversation]
    files: Sequence[SavedFile] = ()
    archive: Zipped | None = None

    @property
    def missing(self) -> int:
        """How many files its messages mention beside those that it has."""
        mentioned = {one for talk in self.talks for one in talk.mentioned}
        return len(mentioned - {file.id for file in self.files})


class Bundles:
    """Takes archives out and brings them back."""

    def __init__(
        self, store: Store, archive: Archive, files: Files, most_bytes: int = 512 * 2**20
    ) -> None:
        self._store, self._archive, self._files = store, archive, files
        self.most_bytes = most_bytes  # of one archive, packed as well as unpacked

    def pack(self, owner: Owner, conversation_id: str | None = None) -> Iterator[bytes]:
        """Yield an archive of one conversation, or of all that the person keeps."""
        outlet = _Outlet()
        with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=PACKED) as archive:
            for name, document in self._documents(owner, conversation_id):
                archive.writestr(name, document)
                yield outlet.taken()
            saved: list[SavedFile] = []
            for file in self._wanted(owner, conversation_id):
                saved += self._packed(owner, file, archive, {one.path for one in saved})
                yield outlet.taken()
            listed = SavedFiles(format="puna.files/1", files=saved)
            archive.writestr(FILES, listed.model_dump_json(indent=1))
        yield outlet.taken()

    def bring(self, owner: Owner, file: IO[bytes]) -> Brought:
        """Keep all that is in the file, or nothing; says what is wrong, where, and what to do."""
        bundle = self._opened(file)
        self._check_room(owner, bundle)
        before = {known.id for known in self._files.list(owner)}
        ids: dict[str, str] = {}
        try:
            for one in bundle.files:
                ids[one.id] = self._kept(owner, bundle, one)
            made = self._brought(owner, bundle, ids)
        except BaseException:
            for file_id in set(ids.values()) - before:
                self._files.delete(owner, file_id)
            raise
        return Brought(len(made), len(set(ids.values()) - before), bundle.missing)

    def mend(self) -> int:
        """Delete the files of imports whose process is gone; return how many."""
        held = select(FileRow).where(FileRow.holder.is_not(None))
        with self._store.read() as session:
            lost = [
                (Owner(row.tenant_id, row.user_id), row.id)
                for row in session.scalars(held)
                if holder.is_gone(str(row.holder))
            ]
        for owner, file_id in lost:
            self._files.delete(owner, file_id)
        return len(lost)

    def _brought(self, owner: Owner, bundle: Bundle, ids: Ids) -> list[Conversation]:
        """Keep the conversations, and let each have its files."""
        prepared = self._archive.prepared(owner, bundle.talks, ids)
        let_go = update(FileRow).where(FileRow.id.in_(ids.values())).values(holder=None)
        with self._store.write() as session:
            made = self._archive.keep(owner, prepared)
            for conversation, talk in zip(made, bundle.talks, strict=True):
                mentioned = [ids[one] for one in talk.mentioned if one in ids]
                self._files.attach(owner, mentioned, conversation.id)
            session.execute(let_go)
        return made

    def _documents(self, owner: Owner, conversation_id: str | None) -> Iterator[tuple[str, str]]:
        ids = [conversation_id] if conversation_id else self._archive.every_id(owner)
        for number, one in enumerate(ids, start=1):
            try:
                talk = self._archive.json(owner, one)
            except NotFoundError:  # deleted a moment ago
                continue
            stem = "".join(c if c.isalnum() else " " for c in talk["title"])
            name = f"{TALKS}{number:05} {' '.join(stem.split())[:60]}".rstrip()
            yield f"{name}.json", json.dumps(talk, ensure_ascii=False, indent=1)

    def _wanted(self, owner: Owner, conversation_id: str | None) -> Sequence[File]:
        """Return the files that go along: of one conversation those that it mentions."""
        every = self._files.list(owner)[::-1]
        if conversation_id is None:
            return every
        mentioned = set(self._archive.saved(owner, conversation_id).mentioned)
        return [file for file in every if file.id in mentioned]

    def _packed(
        self, owner: Owner, file: File, archive: zipfile.ZipFile, taken: set[str]
    ) -> list[SavedFile]:
        try:
            data = self._files.content(owner, file.id)
        except NotFoundError:  # deleted a moment ago
            return []
        path = _free_path(file.name, taken)
        archive.writestr(path, data)
        digest = hashlib.sha256(data).hexdigest()
        return [SavedFile(id=file.id, name=file.name, path=path, sha256=digest, n_bytes=len(data))]

    def _opened(self, file: IO[bytes]) -> Bundle:
        if is_zip(file):
            return _unpacked(Zipped(file, self.most_bytes))
        data = file.read(DOCUMENT_BYTES + 1)
        if len(data) > DOCUMENT_BYTES:
            raise TooLargeError(
                f"a JSON file may have {DOCUMENT_BYTES >> 20} MiB; export everything as an archive"
            )
        return Bundle(conversations_in(data))

    def _check_room(self, owner: Owner, bundle: Bundle) -> None:
        """See at once whether the files would be too many: reading each takes its time."""
        n_bytes = sum(one.n_bytes for one in bundle.files)
        self._files.check_room(owner, files=len(bundle.files), n_bytes=n_bytes)

    def _kept(self, owner: Owner, bundle: Bundle, file: SavedFile) -> str:
        """Keep a file, and return its id here."""
        assert bundle.archive is not None, "files come in archives alone"
        data = bundle.archive.read(file.path, self._files.limits.reading.file_bytes)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise refused(f"{file.path!r} is not the file that {FILES} names: its SHA-256 differs")
        return self._files.add(owner, file.name, data, holder=holder.this_process()).id


def _unpacked(archive: Zipped) -> Bundle:
    """Read an archive's documents, and see that nothing else is in it but its files."""
    talks: list[SavedConversation] = []
    left = DOCUMENTS_BYTES
    for name in (one for one in archive.names if one.startswith(TALKS)):
        data = archive.read(name, min(DOCUMENT_BYTES, left))
        left -= len(data)
        talks += conversations_in(data, name[:LONGEST_NAME])
    files = _listed(archive)
    unknown = set(archive.names) - {FILES} - {file.path for file in files}
    unknown = {name for name in unknown if not name.startswith(TALKS)}
    if unknown:
        raise refused(f"it holds {min(unknown)[:LONGEST_NAME]!r}, which {FILES} does not name")
    return Bundle(talks, files, archive)


def _listed(archive: Zipped) -> Sequence[SavedFile]:
    data = archive.read(FILES, DOCUMENT_BYTES)
    listed = checked(SavedFiles, parsed(data, FILES), FILES).files
    for name, fault in (("id", "one id"), ("path", "one path")):
        if len({getattr(file, name) for file in listed}) < len(listed):
            raise refused(f"{FILES} names two files with {fault}")
    for file in listed:
        if archive.size(file.path) != file.n_bytes:
            raise refused(f"{file.path!r} has not the length that {FILES} names")
    return listed


def _free_path(name: str, taken: set[str]) -> str:
    """Return a path that no other file has, on disks that do not tell apart A and a either."""
    known = {path.casefold() for path in taken}
    name = re.sub(r"[/\\\x00]", "_", name)  # no folder of an archive is ours to choose
    stem, dot, suffix = name.rpartition(".")
    paths = (f"files/{stem} ({n}){dot}{suffix}" if n > 1 else f"files/{name}" for n in count(1))
    return next(path for path in paths if path.casefold() not in known)


class _Outlet(io.RawIOBase):
    """Where the archive is written: what was written since the last look."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any, /) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
