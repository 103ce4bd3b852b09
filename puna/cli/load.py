"""Opening a model for a command, with the user kept informed on stderr.

In: settings and a model's name or path.  Out: an open LLM, or an open
checkpoint.  The default model is fetched when it is not there yet.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from puna.cli.progress import bytes_bar
from puna.config import DEFAULT_MODEL, Settings
from puna.errors import ModelNotFoundError

if TYPE_CHECKING:
    from puna.formats import Checkpoint
    from puna.llm import LLM


def open_llm(settings: Settings, model: str | None) -> LLM:
    """Open `model`, or the one that the settings name."""
    path = find_model(settings, model)
    from puna.llm import LLM

    with bytes_bar(f"Loading {path.name}") as progress:
        return LLM(
            path,
            context_tokens=settings.context_tokens,
            threads=settings.threads,
            isa=settings.isa,
            home=settings.home,
            progress=progress,
            packed_cache=settings.packed_cache,
            kv_type=settings.kv_type,
        )


def open_weights(settings: Settings, model: str | None) -> Checkpoint:
    """Open `model`'s file alone: enough for its tokenizer, its sizes and its licence."""
    from puna.formats import open_checkpoint

    return open_checkpoint(find_model(settings, model))


def find_model(settings: Settings, model: str | None) -> Path:
    """Return where `model` lies, pulling it first if it is the absent default model."""
    from puna.formats.store import ModelStore

    name = model or settings.model
    store = ModelStore(settings.home)
    try:
        return store.find(name)
    except ModelNotFoundError:
        if name != DEFAULT_MODEL:
            raise
    print(f"puna: fetching {name}, the default model, once", file=sys.stderr)
    return pull_model(settings, name)


def pull_model(settings: Settings, name: str) -> Path:
    """Fetch `name` into the model store, with a progress bar on stderr."""
    from puna.formats.pull import pull
    from puna.formats.store import ModelStore

    with bytes_bar(f"Pulling {name}") as progress:
        return pull(name, ModelStore(settings.home), progress)
