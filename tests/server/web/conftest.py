"""One Chromium for all tests of this folder; without one they are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.server.web.browser import CHROMIUM, chromium

PATIENCE_MS = 20_000  # a state is waited for so long, on a busy machine


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium at /usr/bin/chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as running:
        yield running
