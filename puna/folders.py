"""Where Puna's files lie: the XDG base directories, or all under PUNA_HOME.

In: an environment.  Out: folders, none of them made.  Does not know what is kept in them.
Source: the XDG Base Directory Specification, 0.8: a relative path in its variables is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from puna.errors import SettingError


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Models, accounts, history: $PUNA_HOME, else `puna` in $XDG_DATA_HOME or ~/.local/share."""
    home = environment.get("PUNA_HOME")
    return _unfolded(home) if home else _base(environment, "XDG_DATA_HOME", "~/.local/share")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """What can be made anew: $PUNA_HOME/cache, else `puna` in $XDG_CACHE_HOME or ~/.cache."""
    home = environment.get("PUNA_HOME")
    return _unfolded(home) / "cache" if home else _base(environment, "XDG_CACHE_HOME", "~/.cache")


def _base(environment: Mapping[str, str], name: str, otherwise: str) -> Path:
    given = environment.get(name, "")
    return (Path(given) if given.startswith("/") else _unfolded(otherwise)) / "puna"


def _unfolded(path: str) -> Path:
    """Put the home folder in place of `~`; a service's user may have none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SettingError(
            f"{path}: this user has no such home folder; set PUNA_HOME to where files may lie"
        ) from error
