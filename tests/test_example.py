"""The example that the README points to runs as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "example.py"


@pytest.mark.default_model
def test_the_example_answers_and_tells_a_story() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=100, check=True
    )
    answer, _, story = done.stdout.partition("\n")
    assert "Shakespeare" in answer
    assert "llama" in story.lower()
    assert done.stderr == ""
