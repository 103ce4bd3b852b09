"""Files lie where the XDG directories say, or all under PUNA_HOME."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from puna.config import Settings
from puna.errors import SettingError
from puna.folders import cache_folder, data_folder

HOME = Path.home()


@pytest.mark.parametrize(
    ("environment", "data", "cache"),
    [
        ({}, HOME / ".local/share/puna", HOME / ".cache/puna"),
        ({"XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c"}, Path("/d/puna"), Path("/c/puna")),
        ({"XDG_DATA_HOME": "", "PUNA_HOME": ""}, HOME / ".local/share/puna", HOME / ".cache/puna"),
        (  # the specification: a relative path is invalid and ignored
            {"XDG_DATA_HOME": "d", "XDG_CACHE_HOME": "~/c"},
            HOME / ".local/share/puna",
            HOME / ".cache/puna",
        ),
        (
            {"PUNA_HOME": "/srv/puna", "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c"},
            Path("/srv/puna"),
            Path("/srv/puna/cache"),
        ),
        ({"PUNA_HOME": "~/puna"}, HOME / "puna", HOME / "puna/cache"),
    ],
)
def test_folders_follow_the_environment(
    environment: dict[str, str], data: Path, cache: Path
) -> None:
    assert data_folder(environment) == data
    assert cache_folder(environment) == cache
    assert Settings.from_environment(environment).home == data


def test_who_has_no_home_is_told_what_to_set() -> None:
    with pytest.raises(SettingError, match="set PUNA_HOME to where files may lie"):
        data_folder({"PUNA_HOME": "~nobody-of-this-name/puna"})


def test_the_library_and_the_command_look_into_the_same_store(tmp_path: Path) -> None:
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("PUNA_", "XDG_"))}
    environment["XDG_DATA_HOME"] = str(tmp_path)
    store = f"the store {tmp_path / 'puna/models'} holds no model yet"
    for command in (["-m", "puna", "ask", "hi", "-m", "nix"], ["-c", "import puna; puna.LLM('n')"]):
        done = subprocess.run(
            [sys.executable, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, store in done.stderr) == (1, True), done.stderr
