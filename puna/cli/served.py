"""The model that a server answers with where none is named.

In: settings.  Out: the name under which it is asked for, and what that name stands for.
"""

from __future__ import annotations

from pathlib import Path

from puna.cli.load import find_model
from puna.config import Settings


def default_model(settings: Settings) -> tuple[str, dict[str, Path]]:
    """Return its name, and the aliases that it takes: a path is served as its file is called.

    Fetches the default model where it is not there yet; ModelNotFoundError for another one.
    """
    from puna.formats.store import ModelStore

    path = find_model(settings, None)
    if settings.model in {model.name for model in ModelStore(settings.home).models()}:
        return settings.model, {}
    hub = settings.model.startswith("hf:")
    name = settings.model if hub else path.name.removesuffix(".gguf")
    return name, {name: path}
