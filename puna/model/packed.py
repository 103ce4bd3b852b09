"""Packed weights kept on disk, so that a large model's next start packs nothing.

In: an open checkpoint and the kernels that pack.  Out: every matrix, from a file
beside the model if one is there and sound; if not, packed, and the file written.
Does not know how a matrix is packed.

    random-8b-q4_k_m.gguf.puna-1b5f3c0a9d2e4f68     the digits: Tape.layout()

Where the model's folder is not writable, the file lies in the user's cache folder.  A file
that cannot be written costs one line of warning; one that is damaged, or older than the
model, is written anew.  Files of other layouts beside it are removed when one is written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from puna.errors import ModelFileError
from puna.folders import cache_folder
from puna.formats.checkpoint import Checkpoint, Tensor
from puna.formats.packed import PackedFile
from puna.kernels import Matrix
from puna.model.keeping import Keeping
from puna.model.weights import Packer, RowOrder, TakeMatrix, packing

MARK = ".puna-"
WORTHWHILE_BYTES = 512 << 20  # packing goes at 1 GB/s: what is smaller is there in half a second


@dataclass(frozen=True)
class PackedCache:
    """Where packed weights are kept, and from which size on that is worth it."""

    spare_folder: Path  # for models whose own folder is not writable
    worthwhile_bytes: int = WORTHWHILE_BYTES
    _keepings: list[Keeping] = field(default_factory=list, compare=False)

    @classmethod
    def of_user(cls) -> PackedCache:
        """Use the user's cache folder where a model's folder is not writable."""
        return cls(cache_folder())

    def files(self, path: Path) -> list[Path]:
        """Every file of packed weights of the model at `path`, unfinished ones too."""
        folders = self._folders(path).items()
        return [file for folder, stem in folders for file in sorted(folder.glob(f"{stem}{MARK}*"))]

    def find(self, checkpoint: Checkpoint, layout: str) -> PackedFile | None:
        """Open the sound file of this checkpoint's matrices in this layout, if there is one."""
        for path in self._places(checkpoint.path, layout):
            with suppress(ModelFileError):
                file = PackedFile(path)
                if file.table.layout == layout and _is_from(file, checkpoint):
                    return file
        return None

    @contextmanager
    def matrices(
        self, checkpoint: Checkpoint, names: Collection[str], kernels: Packer
    ) -> Iterator[TakeMatrix]:
        """Offer what takes each of the matrices `names`; leaving without an error keeps them.

        Writing goes on in the background until `settle` or `close`.
        """
        if checkpoint.file_bytes < self.worthwhile_bytes:
            yield packing(kernels)
            return
        layout = kernels.layout()
        found = self._adopt(checkpoint, names, kernels, layout)
        if found is not None:
            yield lambda tensor, _: found[tensor.name]
            return
        keeping = Keeping(self._places(checkpoint.path, layout), checkpoint, layout)
        yield keeping.taking(kernels)
        self._keepings.append(keeping)
        keeping.start()

    def settle(self) -> None:
        """Wait until what is being written is whole."""
        for keeping in self._keepings:
            keeping.settle()

    def close(self) -> None:
        """End what is being written; a file that is not whole goes.  Before the kernels close."""
        while self._keepings:
            self._keepings.pop().close()

    def _adopt(
        self, checkpoint: Checkpoint, names: Collection[str], kernels: Packer, layout: str
    ) -> dict[str, Matrix] | None:
        file = self.find(checkpoint, layout)
        if file is None or not _describes(file, checkpoint, names):
            return None
        places = file.table.matrices.items()
        try:
            return {
                n: kernels.adopt(place.type, place.shape, file.matrix(n)) for n, place in places
            }
        except ValueError:  # a size that no such matrix has
            return None

    def _places(self, path: Path, layout: str) -> list[Path]:
        folders = self._folders(path).items()
        return [folder / f"{stem}{MARK}{layout}" for folder, stem in folders]

    def _folders(self, path: Path) -> dict[Path, str]:
        """Folders by preference, each with how the names of this model's files begin."""
        path = path.absolute()
        whose = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        own = path if path.is_dir() else path.parent
        return {own: path.name, self.spare_folder: f"{path.name}-{whose}"}


@dataclass
class PackedCheck:
    """Stands in for a `PackedCache` to find out what is damaged: packs anew and compares."""

    cache: PackedCache
    file: Path | None = None  # what was compared, once the weights are loaded
    sources_differ: bool = False
    damaged: list[str] = field(default_factory=list)  # names of matrices

    @property
    def sound(self) -> bool:
        """Whether everything is as it was written."""
        return not self.sources_differ and not self.damaged

    @contextmanager
    def matrices(
        self, checkpoint: Checkpoint, names: Collection[str], kernels: Packer
    ) -> Iterator[TakeMatrix]:
        """Offer what takes each matrix and looks at its packed bytes."""
        file = self.cache.find(checkpoint, kernels.layout())
        pack = packing(kernels)
        if file is None or not _describes(file, checkpoint, names):
            yield pack
            return
        self.file = file.path
        recorded = [source.sha256 for source in file.table.sources]
        self.sources_differ = recorded != [own.sha256() for own in checkpoint.weight_files]

        def take(tensor: Tensor, row_order: RowOrder | None) -> Matrix:
            matrix = pack(tensor, row_order)
            if kernels.packed(matrix).tobytes() != file.matrix(tensor.name).tobytes():
                self.damaged.append(tensor.name)
            return matrix

        yield take


def _is_from(file: PackedFile, checkpoint: Checkpoint) -> bool:
    files, sources = checkpoint.weight_files, file.table.sources
    if len(files) != len(sources):
        return False
    with suppress(OSError):
        return all(source.is_like(own) for source, own in zip(sources, files, strict=True))
    return False


def _describes(file: PackedFile, checkpoint: Checkpoint, names: Collection[str]) -> bool:
    matrices = file.table.matrices
    if set(names) != set(matrices):
        return False
    pairs = ((matrices[name], checkpoint.tensors[name]) for name in names)
    return all((own.type, own.shape) == (its.type.name, its.shape) for own, its in pairs)
