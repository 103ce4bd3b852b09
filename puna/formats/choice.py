"""Which files of a repository make up the model that was asked for.

In: a hub reference and the repository's files.  Out: the files to fetch.  Never
chooses a pickle; where several models are there, says which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from puna.errors import ModelNotFoundError, UnsupportedModelError
from puna.formats import reference as naming
from puna.formats.folder import CONFIG, INDEX, SIDE_FILES
from puna.formats.hub import HubFile
from puna.formats.reference import HubReference
from puna.formats.refusals import PICKLE_SUFFIXES

SAFETENSORS: Final = "safetensors"
_SHARD: Final = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_NO_NETWORK: Final = re.compile(r"(?i)mmproj|imatrix")  # image projectors and statistics


@dataclass(frozen=True)
class Choice:
    """`files` to fetch; the model shows once `entry` is there; `opened` is what to open."""

    which: str
    files: tuple[HubFile, ...]
    entry: str
    opened: str


def choose(reference: HubReference, files: Sequence[HubFile]) -> Choice:
    """The one model that `reference` means.

    Raises ModelNotFoundError with the choices, or UnsupportedModelError if
    the repository has nothing but pickles.
    """
    choices = _choices(files)
    meant = [choice for choice in choices if _is_meant(reference.which, choice)]
    if len(meant) == 1:
        return meant[0]
    if choices:
        raise ModelNotFoundError(_which_one(reference, choices))
    if any(PurePosixPath(file.name).suffix in PICKLE_SUFFIXES for file in files):
        raise UnsupportedModelError(
            f"{reference.repo_id}: has only pickled PyTorch weights, and reading those can run "
            "any code; pull the same model as safetensors or GGUF"
        )
    raise ModelNotFoundError(f"{reference.repo_id}: has neither GGUF nor safetensors weights")


def _choices(files: Sequence[HubFile]) -> list[Choice]:
    by_name = {file.name: file for file in files}
    return [*_gguf_choices(files), *_safetensors_choices(by_name)]


def _gguf_choices(files: Sequence[HubFile]) -> list[Choice]:
    """Shards of one model go together."""
    models: dict[tuple[str, str], list[HubFile]] = {}
    for file in files:
        if file.name.endswith(".gguf") and not _NO_NETWORK.search(file.name):
            folder = PurePosixPath(file.name).parent.as_posix()
            models.setdefault((folder, naming.model_stem(file.name)), []).append(file)
    return [_gguf_choice(sorted(shards, key=lambda file: file.name)) for shards in models.values()]


def _gguf_choice(shards: list[HubFile]) -> Choice:
    first = shards[0].name
    return Choice(naming.short_name(first), tuple(shards), entry=first, opened=first)


def _safetensors_choices(files: dict[str, HubFile]) -> list[Choice]:
    weights = _weight_names(files)
    if CONFIG not in files or not weights:
        return []
    beside = [name for name in (CONFIG, INDEX, *SIDE_FILES) if name in files]
    wanted = tuple(files[name] for name in [*beside, *weights])
    return [Choice(SAFETENSORS, wanted, entry=CONFIG, opened="")]


def _weight_names(files: dict[str, HubFile]) -> list[str]:
    if INDEX in files:
        return sorted(name for name in files if _SHARD.fullmatch(name))
    return ["model.safetensors"] if "model.safetensors" in files else []


def _is_meant(which: str | None, choice: Choice) -> bool:
    if which is None or which.lower() == choice.which.lower():
        return True
    return choice.which != SAFETENSORS and naming.means(which, choice.opened)


def _which_one(reference: HubReference, choices: list[Choice]) -> str:
    names = ", ".join(sorted(choice.which for choice in choices))
    fault = f"has no {reference.which!r}" if reference.which else "has several models"
    example = reference.naming(choices[0].which)
    return f"{reference.repo_id}: {fault}; choose one of {names}, for instance {example}"
