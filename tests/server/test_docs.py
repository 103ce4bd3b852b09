"""docs/http.md is what the server says of itself."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_current() -> None:
    """`make docs` writes it."""
    page = runpy.run_path(str(DOCS / "routes.py"))["page"]
    assert (DOCS / "http.md").read_text() == page()
