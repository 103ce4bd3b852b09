"""`puna perplexity`: one number for a text."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.conftest import Puna

TEXT = "hello world one two three " * 60


def test_the_number_is_that_of_the_nll(puna: Puna, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    result = json.loads(puna("perplexity", str(file), "--window", "64", "--json").stdout)
    assert result["perplexity"] == pytest.approx(math.exp(result["nll"]))
    assert result["tokens"] > 100
    shown = puna("perplexity", str(file), "--window", "64").stdout
    assert shown.startswith(f"{result['perplexity']:.4f} over {result['tokens']:,} tokens")


def test_a_text_shorter_than_a_window_is_refused(puna: Puna, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("hello")
    done = puna("perplexity", str(file))
    assert done.returncode == 1
    assert "use a longer text or a smaller window" in done.stderr


def test_a_text_that_is_not_utf8_is_refused(puna: Puna, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"hello \xff")
    done = puna("perplexity", str(file))
    assert done.returncode == 1
    assert "text.txt is not UTF-8 at byte 6" in done.stderr
