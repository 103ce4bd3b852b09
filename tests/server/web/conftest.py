"""One Chromium and one talking server for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.server.web.browser import CHROMIUM, chromium
from tests.server.web.talking import Server, talking

PATIENCE_MS = 20_000  # a state is waited for so long, on a busy machine


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium at /usr/bin/chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server with the default model, for all tests that talk with it."""
    with talking(tmp_path_factory.mktemp("talk")) as running:
        yield running
