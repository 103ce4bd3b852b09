"""A chart as SVG and PNG.

In: SVG text.  Out: both files beside each other.  The PNG is drawn by Chromium, which the
tests of the web pages need too; without it, a line says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCALE = 2  # pixels of the PNG for each of the SVG: sharp on dense screens


def write_pictures(stem: Path, svg: str) -> None:
    """Write stem.svg and stem.png."""
    svg_path, png_path = Path(f"{stem}.svg"), Path(f"{stem}.png")
    svg_path.write_text(svg)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"no {' or '.join(BROWSERS)} here: {png_path.name} is left as it was", flush=True)
        return
    _draw(browser, svg_path, png_path, _size(svg))


def _draw(browser: str, svg: Path, png: Path, size: tuple[int, int]) -> None:
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",  # it reads our own file alone
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--force-device-scale-factor={SCALE}",
            f"--window-size={size[0]},{size[1]}",
            f"--screenshot={png.resolve()}",
            svg.resolve().as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def _size(svg: str) -> tuple[int, int]:
    found = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert found is not None
    return int(found[1]), int(found[2])
