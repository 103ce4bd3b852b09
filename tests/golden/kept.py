"""Golden answers about text, as gzipped JSON beside this file.

In: a name.  Out: what was kept under it.  Does not know what it means.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

CHUNK = 100  # strings that share one hash


def path_of(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.json.gz")


def load(name: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(gzip.decompress(path_of(name).read_bytes()))
    return kept


def save(name: str, kept: dict[str, Any]) -> None:
    data = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    path_of(name).write_bytes(gzip.compress(data, mtime=0))
    print(path_of(name).name, path_of(name).stat().st_size, "bytes")


def chunk_hashes(ids: Sequence[Iterable[int]]) -> list[str]:
    """One hash for each hundred lists of token ids."""
    chunks = (list(map(list, ids[at : at + CHUNK])) for at in range(0, len(ids), CHUNK))
    return [hashlib.sha256(json.dumps(chunk).encode()).hexdigest()[:16] for chunk in chunks]
