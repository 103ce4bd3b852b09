"""The models kept on this machine.

In: a home folder, and a model's name or path.  Out: what `open_checkpoint`
takes.  Does not fetch anything; a download that is not finished is not here.

    home/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf     smollm2
    home/models/ORG--REPO/NAME-Q4_K_M.gguf                  hf:ORG/REPO:Q4_K_M
    home/models/ORG--REPO/config.json and safetensors       hf:ORG/REPO
    home/models/.partial/                                   downloads under way
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from puna.errors import MalformedFileError, ModelNotFoundError
from puna.formats import reference, shards
from puna.formats.folder import CONFIG
from puna.formats.reference import HubReference

PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class StoredModel:
    """One model: `path` is what to open, `files` is all that belongs to it, first the file
    without which it would not show."""

    name: str
    path: Path
    files: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.files)

    def sha256(self) -> dict[str, str]:
        """File name -> digest in hexadecimal, to compare with what a publisher states."""
        return {file.name: file_sha256(file) for file in self.files}


class ModelStore:
    """The models under `home`; the folder is made when the first one arrives."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "models"

    def models(self) -> list[StoredModel]:
        """Every complete model, by name."""
        if not self.folder.is_dir():
            return []
        folders = [path for path in self.folder.iterdir() if _is_visible(path)]
        found = [model for folder in folders for model in _models_in(folder)]
        return sorted(found, key=lambda model: model.name)

    def find(self, name: str | Path) -> Path:
        """What to open for a model's name, or for a path.

        A name in the store goes before a path of the same spelling; `./NAME`
        is always a path.  Raises ModelNotFoundError that says what there is.
        """
        if isinstance(name, Path) or name.startswith((".", "/", "~")):
            return _existing(Path(name).expanduser(), name)
        matches = self._matching(name)
        if len(matches) > 1:
            choices = ", ".join(model.name for model in matches)
            raise ModelNotFoundError(f"{name!r} may mean several models; give one of {choices}")
        return matches[0].path if matches else self._as_path(name)

    def get(self, name: str) -> StoredModel:
        """The stored model called `name`.  Raises ModelNotFoundError."""
        path = self.find(name)
        for model in self.models():
            if model.path == path:
                return model
        raise ModelNotFoundError(f"{path}: is not in the model store {self.folder}")

    def remove(self, name: str) -> StoredModel:
        """Delete a model's files, and its folder once that is empty; returns what it was."""
        model = self.get(name)
        for file in model.files:
            file.unlink()
        self._drop_empty_folders()
        return model

    def place(self, folder: str, file: str) -> Path:
        """Where a pulled file belongs.  Both names have been checked by whoever made them."""
        relative = PurePosixPath(folder, file)
        assert not {"/", ".."}.intersection(relative.parts), relative
        return self.folder / relative

    def partial(self, name: str) -> Path:
        """Where an unfinished download is kept until it is resumed."""
        assert name == PurePosixPath(name).name, name
        (self.folder / PARTIAL).mkdir(parents=True, exist_ok=True)
        return self.folder / PARTIAL / name

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder on the store's own disk that is gone afterwards."""
        parent = self.partial("x").parent
        with tempfile.TemporaryDirectory(dir=parent, prefix="pull-") as folder:
            yield Path(folder)

    def adopt(self, folder: str, files: Mapping[str, Path], entry: str) -> None:
        """Move finished files into the store; `entry`, without which a model does not show, last.

        So a model appears whole, and one that is replaced disappears before
        its first file changes.
        """
        self.place(folder, entry).unlink(missing_ok=True)
        for name in [*(name for name in files if name != entry), entry]:
            target = self.place(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(files[name], target)

    def _matching(self, name: str) -> list[StoredModel]:
        models = self.models()
        exact = [model for model in models if model.name == name]
        wanted = HubReference.parse(name)
        if exact or wanted is None:
            return exact
        return [model for model in models if self._is_meant(wanted, model)]

    def _is_meant(self, wanted: HubReference, model: StoredModel) -> bool:
        relative = model.path.relative_to(self.folder)
        if relative.parts[0] != wanted.folder:
            return False
        file = PurePosixPath(*relative.parts[1:]).as_posix()
        return wanted.which is None or reference.means(wanted.which, file)

    def _as_path(self, name: str) -> Path:
        if Path(name).exists():
            return Path(name)
        there = ", ".join(model.name for model in self.models()) or "no model yet"
        raise ModelNotFoundError(
            f"there is no model and no file {name!r}; the store {self.folder} holds {there}; "
            "`puna pull` fetches smollm2 or hf:ORG/REPO"
        )

    def _drop_empty_folders(self) -> None:
        folders = [path for path in self.folder.rglob("*") if path.is_dir()]
        for path in sorted(folders, reverse=True):
            if path.name != PARTIAL and not any(path.iterdir()):
                path.rmdir()


def file_sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_visible(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _existing(path: Path, name: str | Path) -> Path:
    if not path.exists():
        raise ModelNotFoundError(f"{str(name)!r}: there is no such file or folder; check the path")
    return path


def _models_in(folder: Path) -> Iterator[StoredModel]:
    hub = HubReference.of_folder(folder.name)
    if (folder / CONFIG).is_file() and any(folder.glob("*.safetensors")):
        beside = [path for path in folder.iterdir() if path.is_file() and _belongs(path)]
        files = tuple(sorted(beside, key=lambda path: (path.name != CONFIG, path.name)))
        yield StoredModel(hub.naming(None) if hub else folder.name, folder, files)
    ggufs = list(_gguf_models(folder))
    for files in ggufs:
        which = None if hub is None and len(ggufs) == 1 else reference.short_name(files[0].name)
        name = hub.naming(which) if hub else ":".join(filter(None, (folder.name, which)))
        yield StoredModel(name, files[0], files)


def _belongs(path: Path) -> bool:
    """Whether a file is a part of safetensors beside it; packed weights are made of them."""
    return path.suffix != ".gguf" and ".puna-" not in path.name


def _gguf_models(folder: Path) -> Iterator[tuple[Path, ...]]:
    """Each GGUF model's shards; a set that lacks one is not finished and not here."""
    for path in sorted(folder.rglob("*.gguf")):
        try:
            files = tuple(shards.all_shards(path))
        except (ModelNotFoundError, MalformedFileError):
            continue
        if files[0] == path:
            yield files
