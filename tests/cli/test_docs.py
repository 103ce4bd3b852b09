"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current(tmp_path: Path) -> None:
    """`make docs` writes it."""
    fresh = tmp_path / "cli.md"
    command = [sys.executable, "-m", "typer", "puna.cli", "utils", "docs", "--name", "puna"]
    options = ["--title", "The command line", "--output", str(fresh)]
    subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True)
    assert (ROOT / "docs/cli.md").read_text() == fresh.read_text()
