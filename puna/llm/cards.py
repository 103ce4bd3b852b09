"""What is known of a model before it is loaded.

In: the model store, and other names that the owner gives to models.  Out: a
card for each name, read from the file's header.  Loads no weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import prod
from pathlib import Path

from puna.errors import ModelFileError, ModelNotFoundError
from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.formats.folder import CONFIG
from puna.formats.reference import HubReference
from puna.formats.store import ModelStore
from puna.llm.opening import context_for, kv_bytes
from puna.model.config import LlamaConfig


@dataclass(frozen=True)
class ModelCard:
    """One model; `context` in tokens, `created` in Unix seconds."""

    name: str
    path: Path
    context: int
    parameters: int
    bytes: int  # of weights, in the file and about as many in memory
    kv_bytes: int  # of keys and values, once it is loaded
    created: int
    quantisation: str  # the block type of most weights: "Q4_K"
    owned_by: str

    @property
    def memory_bytes(self) -> int:
        """What it takes once it is loaded."""
        return self.bytes + self.kv_bytes


class Cards:
    """The cards of a store's models, and of aliases: another name -> a name or a path."""

    def __init__(
        self,
        store: ModelStore,
        aliases: Mapping[str, str | Path],
        *,
        context_tokens: int | None = None,
        kv_tokens: int | None = None,
    ) -> None:
        self._store = store
        self._aliases = dict(aliases)
        self._context_tokens = context_tokens
        self._kv_tokens = kv_tokens
        self._known: dict[tuple[Path, int, int], ModelCard] = {}

    def all(self) -> list[ModelCard]:
        """Every sound model in the store, then the aliases; a broken file is left out."""
        return list(self._sound([*(model.name for model in self._store.models()), *self._aliases]))

    def get(self, name: str) -> ModelCard:
        """Return the card for a name in the store or an alias, never for a path.

        Raises ModelNotFoundError with a suggestion, or the ModelFileError of a broken file.
        """
        return replace(self._read(self._find(name)), name=name, owned_by=_owner(name))

    def _sound(self, names: list[str]) -> Iterator[ModelCard]:
        for name in names:
            try:
                yield self.get(name)
            except (ModelFileError, ModelNotFoundError):
                continue

    def _find(self, name: str) -> Path:
        if name in self._aliases:
            return self._store.find(self._aliases[name])
        paths = {model.name: model.path for model in self._store.models()}
        if name not in paths:
            raise _unknown(name, [*paths, *self._aliases])
        return paths[name]

    def _read(self, path: Path) -> ModelCard:
        """Read the header, once for each state of the file."""
        stat = (path / CONFIG if path.is_dir() else path).stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._known:
            with open_checkpoint(path) as checkpoint:
                self._known[key] = self._card(checkpoint, int(stat.st_mtime))
        return self._known[key]

    def _card(self, checkpoint: Checkpoint, created: int) -> ModelCard:
        config = LlamaConfig.from_checkpoint(checkpoint)
        wanted = self._context_tokens
        most = config.max_position_embeddings
        context = context_for(config, None if wanted is None else min(wanted, most))
        return ModelCard(
            name="",
            path=checkpoint.path,
            context=context,
            parameters=sum(prod(tensor.shape) for tensor in checkpoint.tensors.values()),
            bytes=checkpoint.file_bytes,
            kv_bytes=kv_bytes(config, context, self._kv_tokens),
            created=created,
            quantisation=_quantisation(checkpoint),
            owned_by="",
        )


def _quantisation(checkpoint: Checkpoint) -> str:
    """Return the block type that holds most of the numbers."""
    values: Counter[str] = Counter()
    for tensor in checkpoint.tensors.values():
        values[tensor.type.name] += prod(tensor.shape)
    return values.most_common(1)[0][0]


def _owner(name: str) -> str:
    hub = HubReference.parse(name)
    return hub.org if hub else "local"


def _unknown(name: str, known: list[str]) -> ModelNotFoundError:
    near = get_close_matches(name, known, 1)
    there = f"there are {', '.join(known)}" if known else "there is none yet; `puna pull smollm2`"
    hint = f"did you mean {near[0]!r}?" if near else there
    return ModelNotFoundError(f"there is no model {name!r}; {hint}")
