"""A model on disk: its weights and what is said about them.

In: a path to a .gguf file, to one of its shards, or to a folder of safetensors.
Out: a Checkpoint, chosen by content and not by name.  Does not know what a
metadata key means, nor which tensors a network needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from puna.errors import MalformedFileError, ModelFileError, ModelNotFoundError
from puna.formats import folder, gguf, safetensors, shards
from puna.formats.mapping import MappedFile
from puna.formats.refusals import refuse_unknown_file
from puna.formats.tensor import Tensor

__all__ = ["Checkpoint", "Tensor", "open_checkpoint"]

Format = Literal["gguf", "safetensors"]
Contents = TypeVar("Contents")


class Checkpoint:
    """A context manager over mapped files; `close` drops the maps.

    `metadata` holds GGUF's key-values (arrays of numbers as ndarray, arrays of
    text as list), or for safetensors the parsed config.json.  `files` holds
    the small files beside safetensors: tokenizer.json and the like.
    """

    def __init__(
        self,
        path: Path,
        format: Format,
        metadata: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        *,
        maps: Iterable[MappedFile],
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.path = path
        self.format: Format = format
        self.metadata = metadata
        self.tensors: Mapping[str, Tensor] = tensors
        self.files: Mapping[str, bytes] = files or {}
        self._maps = list(maps)
        self.file_bytes = sum(file.size for file in self._maps)

    @property
    def weight_files(self) -> tuple[MappedFile, ...]:
        """The files that hold the tensors: one, or all shards."""
        return tuple(self._maps)

    def check_unchanged(self) -> None:
        """Raise ModelFileError if a weight file was truncated or rewritten since it was opened."""
        for file in self._maps:
            file.check_unchanged()

    def release(self, tensor: Tensor) -> None:
        """Give back the memory of a tensor that was read; it may still be read again."""
        for file in self._maps:
            file.release(tensor.data)

    def close(self) -> None:
        """Forget the tensors and drop the maps; a view still held keeps its own map alive."""
        self.tensors = {}
        for file in self._maps:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Map the model at `path` and check all of its structure.

    Raises ModelNotFoundError if nothing is there, otherwise a ModelFileError
    that says what is wrong with it.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: there is no such file or folder; check the path")
    return _open_file(path)


def _open_folder(path: Path) -> Checkpoint:
    if not (path / folder.CONFIG).is_file():
        return _open_gguf(folder.only_gguf(path))
    contents = folder.read_folder(path)
    read = _read_all(contents.weights, safetensors.read_safetensors)
    tensors = _united([(file.path, tensors) for file, tensors in read])
    folder.check_index(contents, {file.path.name: tensors for file, tensors in read})
    return Checkpoint(
        path,
        "safetensors",
        contents.config,
        tensors,
        maps=[file for file, _ in read],
        files=contents.files,
    )


def _open_file(path: Path) -> Checkpoint:
    start = _first_bytes(path)
    if start.startswith(gguf.MAGIC):
        return _open_gguf(path)
    if not safetensors.looks_like_safetensors(start) or not (path.parent / folder.CONFIG).is_file():
        refuse_unknown_file(path, start)
    return _open_folder(path.parent)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _open_gguf(path: Path) -> Checkpoint:
    paths = shards.all_shards(path)
    read = _read_all(paths, gguf.read_gguf)
    shards.check_shards([(file.path, contents.metadata) for file, contents in read])
    tensors = _united([(file.path, contents.tensors) for file, contents in read])
    first = read[0][1].metadata
    shards.check_tensor_count(paths[0], first, len(tensors))
    return Checkpoint(paths[0], "gguf", first, tensors, maps=[file for file, _ in read])


def _read_all(
    paths: Iterable[Path], read: Callable[[MappedFile], Contents]
) -> list[tuple[MappedFile, Contents]]:
    return [(file, read(file)) for file in map(MappedFile, paths)]


def _united(parts: Iterable[tuple[Path, Mapping[str, Tensor]]]) -> dict[str, Tensor]:
    """The tensors of all shards; a name in two shards is refused."""
    united: dict[str, Tensor] = {}
    for path, tensors in parts:
        twice = united.keys() & tensors.keys()
        if twice:
            raise MalformedFileError(f"{path}: tensor {min(twice)!r} is in another shard as well")
        united.update(tensors)
    return united
