"""What holds for every command: help, exit codes, one line for an error, a quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from puna.cli import app
from tests.cli.conftest import Puna, environment, has_no_traceback

COMMANDS = [
    ("ask",),
    ("chat",),
    ("pull",),
    ("models",),
    ("models", "show"),
    ("models", "remove"),
    ("models", "shapes"),
    ("bench",),
    ("tokenize",),
    ("perplexity",),
    ("version",),
    ("serve",),
    ("usage",),
    ("invoice",),
    ("audit",),
    ("backup",),
    ("restore",),
]


def test_the_list_above_is_complete() -> None:
    names = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert names | {"models"} == {command[0] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_with_an_example(puna_within: Puna, command: tuple[str, ...]) -> None:
    done = puna_within(*command, "--help")
    assert done.returncode == 0
    assert f"Example: puna {command[0]}" in done.stdout


def test_version_is_the_installed_one(puna: Puna) -> None:
    assert puna("version").stdout == "0.1.0\n"


def test_help_loads_neither_the_engine_nor_the_terminal(home: Path) -> None:
    code = (
        "import json, sys; sys.argv = ['puna', '--help']\n"
        "from puna.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint({"numpy", "tokenizers", "prompt_toolkit", "huggingface_hub", "jinja2"})


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("ask", "hi", "--model", "nix"), {}, "there is no model and no file 'nix'"),
        (("ask", "hi", "--model", "./nix.gguf"), {}, "no such file"),
        (("ask", "hi", "--temperature", "-1"), {}, "temperature"),
        (("ask", "the " * 9000), {}, "context"),
        (("pull", "nonsense"), {}, "is not something to pull"),
        (("models", "show", "nix"), {}, "nix"),
        (("models",), {"PUNA_THREAD": "1"}, "did you mean PUNA_THREADS?"),
        (("bench", "--shape", "9b"), {}, "choose one of 1B"),
    ],
    ids=str,
)
def test_an_error_is_one_line_on_stderr_and_exit_code_1(
    puna: Puna, arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    done = puna(*arguments, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("puna: error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("ask", "hi", "--loud"), ("sing",), ("bench", "--new", "1"), ("perplexity", "absent.txt")],
    ids=str,
)
def test_a_command_that_is_not_understood_is_exit_code_2(
    puna: Puna, arguments: tuple[str, ...]
) -> None:
    done = puna(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert has_no_traceback(done)


def test_a_malformed_file_is_named(puna: Puna, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 60)
    done = puna("ask", "hi", "--model", str(broken))
    assert done.returncode == 1
    assert "broken.gguf" in done.stderr
    assert has_no_traceback(done)


def test_a_closed_pipe_is_quiet(home: Path) -> None:
    """`puna models shapes | head -0`: the reader is gone before the first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "puna", "models", "shapes"],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=30)
    assert errors == ""


@pytest.mark.parametrize("arguments", [("models", "shapes"), ("plans",), ("version",)], ids=str)
def test_a_disk_that_is_full_is_said(home: Path, arguments: tuple[str, ...]) -> None:
    """What does not reach a file is no success: `puna usage --csv > usage.csv`."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "puna", *arguments],
            env=environment(home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("puna: error: No space left on device; make room")
    assert done.stderr.count("\n") == 1
