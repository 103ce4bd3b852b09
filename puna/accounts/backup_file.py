"""The file of a copy: gzipped JSON lines, a checksum in the last, and a name once it is complete.

In: records; later a path.  Out: the same records, or a StoreError that says what is wrong with it.
Knows no database.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from puna.accounts.schema import utc_now
from puna.errors import StoreError

FORMAT = 1
BATCH_ROWS = 500

Record = dict[str, Any] | list[Any]  # of a table its name and columns; each of its rows


@dataclass(frozen=True)
class Copy:
    """What a copy holds."""

    made_at: str
    schema: str
    rows: int
    sha256: str


@contextmanager
def new_file(path: Path) -> Iterator[gzip.GzipFile]:
    """A file that takes its name only when it is complete and on the disk."""
    number, name = tempfile.mkstemp(".part", f"{path.name}.", path.parent)  # for its owner alone
    part = Path(name)
    try:
        with open(number, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
                yield file
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def refuse_other(path: Path) -> None:
    """A copy takes an older copy's place and no other file's, such as the database's own."""
    if not os.path.lexists(path):
        return
    try:
        _header(path, _record(path, next(_lines(path), b"")))
    except StoreError as error:
        raise StoreError(
            f"{path} is there already and is no copy that this Puna made; name another file"
        ) from error


def write(file: gzip.GzipFile, schema: str, records: Iterable[Record]) -> Copy:
    """Write a header, the records, and what shows that nothing is missing or changed."""
    digest, rows = sha256(), 0
    made_at = utc_now().isoformat("T", "seconds")
    header = {"puna_backup": FORMAT, "schema": schema, "made_at": made_at}
    for record in chain([header], records):
        line = json.dumps(record, default=_packed, ensure_ascii=False).encode() + b"\n"
        file.write(line)
        digest.update(line)
        rows += isinstance(record, list)
    end = {"rows": rows, "sha256": digest.hexdigest()}
    file.write(json.dumps(end).encode() + b"\n")
    return Copy(made_at, schema, rows, digest.hexdigest())


def check(path: Path) -> Copy:
    """Read a copy whole; StoreError if a byte of it is not as it was written."""
    digest, rows = sha256(), 0
    header: dict[str, Any] = {}
    end: Any = None
    for line in _lines(path):
        record = _record(path, line)
        header = header or _header(path, record)
        if end is not None:
            raise _not_whole(path)
        if isinstance(record, dict) and "sha256" in record:
            end = record
        else:
            digest.update(line)
            rows += isinstance(record, list)
    if end != {"rows": rows, "sha256": digest.hexdigest()}:
        raise _not_whole(path)
    return Copy(header["made_at"], header["schema"], rows, digest.hexdigest())


def groups(path: Path) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """Yield table, columns and some rows, again and again, of a copy that was checked."""
    name = ""
    columns: list[str] = []
    rows: list[list[Any]] = []
    for line in _lines(path):
        record = json.loads(line)
        if isinstance(record, list):
            rows.append(record)
        if rows and (len(rows) == BATCH_ROWS or isinstance(record, dict)):
            yield name, columns, rows
            rows = []
        if isinstance(record, dict) and "table" in record:
            name, columns = record["table"], record["columns"]


def unpacked(value: Any, binary: bool) -> Any:
    """Return a column's value as it was before it was written."""
    return base64.b64decode(value["base64"]) if binary and value is not None else value


def _packed(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"a column holds {type(value).__name__}, which a copy cannot carry")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _not_whole(path) from error


def _record(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _not_whole(path) from error


def _header(path: Path, record: Any) -> dict[str, Any]:
    version = record.get("puna_backup") if isinstance(record, dict) else None
    if not isinstance(version, int) or version < 1:
        raise StoreError(f"{path} is no copy of Puna's accounts")
    if version > FORMAT:
        raise too_new(path, f"format {version}")
    return dict(record)


def too_new(path: Path, what: str) -> StoreError:
    """Return the error of a copy that this Puna cannot read."""
    return StoreError(f"the copy {path} was made by a newer Puna ({what}); update Puna first")


def _not_whole(path: Path) -> StoreError:
    return StoreError(f"the copy {path} is not whole, was changed, or is no copy; take another one")
