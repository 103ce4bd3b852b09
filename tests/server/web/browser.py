"""A real Chromium, and a server on a real socket for it to look at."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from starlette.types import ASGIApp

CHROMIUM = Path("/usr/bin/chromium")
HELD = "window.__hits = 0; window.hit = () => { window.__hits += 1; };"


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve `app` on a free port of this machine; yields its address."""
    config = uvicorn.Config(
        app, port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="web under test")
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


class Watch:
    """What a page does that it should not: scripts that run, policies broken, hosts called."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.add_init_script(HELD)
        page.on("request", self._asked)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self._said(str(error)))

    @property
    def executions(self) -> int:
        hits: int = self.page.evaluate("window.__hits")
        return hits

    def foreign(self, origin: str) -> list[str]:
        own = (f"{origin}/", "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own) and url != origin]

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._said(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, text: str) -> None:
        self.complaints.append(text)
