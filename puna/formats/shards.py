"""A GGUF model in several files: NAME-00001-of-0000N.gguf.

In: the path of any shard.  Out: the paths of all, and checks that they belong
together.  Does not know what is in their tensors.

Source: gguf-split in llama.cpp, which writes the names and the split.* keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from puna.errors import MalformedFileError, ModelNotFoundError

SHARD_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def all_shards(path: Path) -> list[Path]:
    """Every shard of the model that `path` belongs to, in order; just `path` if it stands alone.

    Raises ModelNotFoundError that names the first missing shard.
    """
    match = SHARD_NAME.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match["count"])
    if not 1 <= int(match["number"]) <= count:
        raise MalformedFileError(f"{path}: its name counts shards wrongly; rename it")
    return [_present(path.with_name(name), count) for name in shard_names(match["stem"], count)]


def shard_names(stem: str, count: int) -> Iterator[str]:
    """The file names that gguf-split gives to `count` shards of `stem`."""
    return (f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))


def check_shards(shards: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
    """Each file's split.* keys must say what its name says."""
    for number, (path, metadata) in enumerate(shards):
        count = max(1, metadata.get("split.count", 1))
        if count != len(shards):
            raise MalformedFileError(
                f"{path}: says that it is one of {count} shards, but its name says one of "
                f"{len(shards)}; keep the names under which the shards were published"
            )
        if metadata.get("split.no", number) != number:
            raise MalformedFileError(
                f"{path}: says that it is shard {metadata['split.no'] + 1}, but its name says "
                f"{number + 1}; keep the names under which the shards were published"
            )


def check_tensor_count(path: Path, metadata: Mapping[str, Any], count: int) -> None:
    """All shards together hold as many tensors as the first one promises."""
    promised = metadata.get("split.tensors.count", count)
    if promised != count:
        raise MalformedFileError(
            f"{path}: promises {promised} tensors over all shards, but they hold {count}; "
            "download them again"
        )


def _present(shard: Path, count: int) -> Path:
    if not shard.is_file():
        raise ModelNotFoundError(
            f"{shard}: this shard of a model in {count} files is missing; "
            "download it into the same folder"
        )
    return shard
