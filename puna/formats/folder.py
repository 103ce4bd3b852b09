"""A model folder as Hugging Face lays it out.

In: a folder.  Out: its config.json, its tokenizer's files as bytes, and which
weight files to map.  Does not read weights, nor say what a setting means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from puna.errors import MalformedFileError, ModelFileError, ModelNotFoundError
from puna.formats import shards, strict_json
from puna.formats.refusals import PICKLE_SUFFIXES, refuse_pickle
from puna.formats.tensor import Tensor

CONFIG: Final = "config.json"
INDEX: Final = "model.safetensors.index.json"
SIDE_FILES: Final = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
)
MAX_JSON_BYTES: Final = 16 << 20
MAX_SIDE_FILE_BYTES: Final = 128 << 20
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")


@dataclass(frozen=True)
class ModelFolder:
    """What lies in the folder; `placement` says which tensor the index puts into which file."""

    path: Path
    config: dict[str, Any]
    files: dict[str, bytes]
    weights: list[Path]
    placement: dict[str, str]


def read_folder(path: Path) -> ModelFolder:
    """Everything but the weights.  Raises ModelFileError."""
    placement = _read_index(path)
    return ModelFolder(
        path,
        strict_json.parse_object(_read(path / CONFIG, MAX_JSON_BYTES), str(path / CONFIG)),
        _side_files(path),
        _weight_files(path, placement),
        placement,
    )


def only_gguf(path: Path) -> Path:
    """The one GGUF model in a folder without config.json; several shards are one model."""
    found = sorted(path.glob("*.gguf"))
    models = {shards.all_shards(file)[0] for file in found}
    if len(models) == 1:
        return models.pop()
    if models:
        names = ", ".join(sorted(model.name for model in models))
        raise ModelNotFoundError(f"{path}: holds several models; give one of {names}")
    _refuse_pickles(path)
    raise ModelNotFoundError(f"{path}: holds neither config.json with safetensors nor a .gguf file")


def check_index(folder: ModelFolder, held: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Every tensor lies in the file that the index names."""
    for tensor, file in folder.placement.items():
        if tensor not in held[file]:
            raise MalformedFileError(
                f"{folder.path / file}: has no tensor {tensor!r}, which {INDEX} puts there; "
                "download both again"
            )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > max_bytes:
            raise MalformedFileError(
                f"{path}: has {n_bytes:,} bytes, over the limit of {max_bytes:,}"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _side_files(path: Path) -> dict[str, bytes]:
    there = [name for name in SIDE_FILES if (path / name).is_file()]
    return {name: _read(path / name, MAX_SIDE_FILE_BYTES) for name in there}


def _read_index(path: Path) -> dict[str, str]:
    index = path / INDEX
    if not index.is_file():
        return {}
    placement = strict_json.parse_object(_read(index, MAX_JSON_BYTES), str(index)).get("weight_map")
    if not isinstance(placement, dict) or not placement:
        raise MalformedFileError(f"{index}: has no weight_map; download it again")
    for file in placement.values():
        if not isinstance(file, str) or not _PLAIN_NAME.fullmatch(file):
            raise MalformedFileError(
                f"{index}: names the file {file!r}; only plain names of .safetensors files "
                "beside it are followed"
            )
    return placement


def _weight_files(path: Path, placement: Mapping[str, str]) -> list[Path]:
    if placement:
        return [_present(path / name) for name in sorted(set(placement.values()))]
    found = sorted(path.glob("*.safetensors"))
    if path / "model.safetensors" in found:
        return [path / "model.safetensors"]
    if len(found) == 1:
        return found
    if found:
        raise ModelNotFoundError(f"{path}: has several .safetensors files but no {INDEX}")
    _refuse_pickles(path)
    raise ModelNotFoundError(f"{path}: holds {CONFIG} but no .safetensors file")


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ModelNotFoundError(
            f"{path}: is missing, though {INDEX} names it; download it into the same folder"
        )
    return path


def _refuse_pickles(path: Path) -> None:
    for file in sorted(path.iterdir()):
        if file.suffix.lower() in PICKLE_SUFFIXES:
            refuse_pickle(file)
