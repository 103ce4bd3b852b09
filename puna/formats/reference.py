"""How a model of the hub is called: hf:ORG/REPO or hf:ORG/REPO:WHICH.

In: such a name, and file names.  Out: the repository, its folder in the store,
and whether WHICH (a quantisation or a file name) means a file.  Knows no network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

from puna.formats.shards import SHARD_NAME

_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._]|-(?!-))*"
_REFERENCE: Final = re.compile(
    rf"(?:hf:)?(?P<org>{_PART})/(?P<repo>{_PART})(?::(?P<which>[A-Za-z0-9][A-Za-z0-9._/+-]*))?"
)
_FOLDER: Final = re.compile(rf"(?P<org>{_PART})--(?P<repo>{_PART})")
_QUANT: Final = re.compile(r"(?:.*[-._])?(?P<quant>(?:I?Q|TQ)\d\w*|B?F16|F32|MXFP4\w*)", re.I)


@dataclass(frozen=True)
class HubReference:
    """One repository, and which of its models is meant if it has several."""

    org: str
    repo: str
    which: str | None = None

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None if `name` is not of the form [hf:]ORG/REPO[:WHICH]."""
        match = _REFERENCE.fullmatch(name)
        return cls(match["org"], match["repo"], match["which"]) if match else None

    @classmethod
    def of_folder(cls, folder: str) -> Self | None:
        """The repository that a folder of the store was pulled from, if any."""
        match = _FOLDER.fullmatch(folder)
        return cls(match["org"], match["repo"]) if match else None

    @property
    def repo_id(self) -> str:
        """ORG/REPO, as the hub writes it."""
        return f"{self.org}/{self.repo}"

    @property
    def folder(self) -> str:
        """ORG--REPO: the hub allows no double hyphen in a name, so this can be taken apart."""
        return f"{self.org}--{self.repo}"

    def naming(self, which: str | None) -> str:
        """The full name of one of the repository's models."""
        return f"hf:{self.repo_id}" + (f":{which}" if which else "")


def model_stem(file: str) -> str:
    """A file's name without .gguf and without the number of its shard."""
    name = PurePosixPath(file).name
    shard = SHARD_NAME.fullmatch(name)
    return shard["stem"] if shard else name.removesuffix(".gguf")


def short_name(file: str) -> str:
    """What tells a GGUF file from its siblings: its quantisation if its name ends in one."""
    stem = model_stem(file)
    match = _QUANT.fullmatch(stem)
    return match["quant"].upper() if match else stem


def means(which: str, file: str) -> bool:
    """Whether `which` is the file, its stem, its quantisation, or the folder that holds it."""
    path = PurePosixPath(file)
    names = {file, path.name, model_stem(file), short_name(file), path.parent.name}
    return which.lower() in {name.lower() for name in names}
