"""What the tests of the command line share: real runs in a home of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest

from puna.cli import main
from puna.config import DEFAULT_MODEL, Settings
from puna.formats.store import ModelStore
from tests.tiny import TinyLlama

Done = subprocess.CompletedProcess[str]
Puna = Callable[..., Done]


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    return TinyLlama(seed=5).write_gguf(folder / "tiny.gguf", "Q8_0")


@pytest.fixture
def home(tmp_path: Path, tiny_file: Path) -> Path:
    """A PUNA_HOME whose store holds one tiny model, called `tiny`."""
    folder = tmp_path / "home/models/tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").symlink_to(tiny_file)
    return tmp_path / "home"


@pytest.fixture
def home_with_default_model(home: Path) -> Path:
    """The same home with the default model, linked from the user's store."""
    path = ModelStore(Settings.from_environment().home).find(DEFAULT_MODEL)
    (home / "models" / DEFAULT_MODEL).symlink_to(path.parent)
    return home


def environment(home: Path) -> dict[str, str]:
    """The user's environment, with other PUNA_* variables taken out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUNA_")}
    return {**kept, "PUNA_HOME": str(home), "PUNA_MODEL": "tiny", "COLUMNS": "100"}


@pytest.fixture
def puna(home: Path) -> Puna:
    """Run `puna` to its end, without a terminal: puna("ask", "hello", stdin="", **variables)."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "puna", *arguments],
            input=stdin,
            env={**environment(home), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def puna_within(home: Path, monkeypatch: pytest.MonkeyPatch) -> Puna:
    """The same in this process, in a third of the time: for commands whose start is no question."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Done:
        with monkeypatch.context() as changed:
            for name in [name for name in os.environ if name.startswith("PUNA_")]:
                changed.delenv(name)
            for name, value in {**environment(home), **variables}.items():
                changed.setenv(name, value)
            changed.setattr(sys, "argv", ["puna", *arguments])
            changed.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
            with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
                code = _exit_code(main)
        return Done(arguments, code, out.getvalue(), errors.getvalue())

    return run


def _exit_code(program: Callable[[], None]) -> int:
    try:
        program()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def has_no_traceback(done: Done) -> bool:
    return "Traceback" not in done.stderr + done.stdout
