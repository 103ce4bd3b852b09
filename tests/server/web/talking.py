"""The real server with the default model, and a person who talks with it in Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from puna.accounts import Links, PaymentProvider, Store, Users
from puna.config import Settings
from puna.formats.store import ModelStore
from puna.llm.models import Models, ModelSettings
from puna.server.app import create_app
from puna.server.services import Services
from puna.server.settings import ServerSettings
from puna.server.web.door import welcome_link
from puna.server.web.site import LateSite
from tests.server.web.browser import Watch, served

PATIENCE_MS = 30_000
FIRST_WORD = ".message.assistant:last-child .prose > *"
COUNTING = "Write a very long story in many chapters about a llama who crosses the Andes."


@dataclass
class Server:
    """A running server, and the keys to its accounts."""

    address: str
    store: Store
    links: Links

    def enter(self, page: Page, token: str, who: dict[str, str]) -> None:
        """Open a one-time link and make the account."""
        page.goto(welcome_link(self.address, token))
        for field, text in who.items():
            page.fill(f"#{field}", text)
        page.click("text=Begin")
        page.wait_for_selector("#composer")

    @contextmanager
    def visited(self, browser: Browser, token: str, who: dict[str, str]) -> Iterator[Watch]:
        """Let somebody enter in a browser of their own; the watched page of an empty chat."""
        with browser.new_context() as context:
            watch = Watch(context.new_page())
            watch.page.set_default_timeout(PATIENCE_MS)
            self.enter(watch.page, token, who)
            yield watch


@contextmanager
def talking(
    folder: Path, kind: type[Models] = Models, provider: PaymentProvider | None = None
) -> Iterator[Server]:
    """Serve the default model on an empty database in `folder`."""
    store = Store.open(f"sqlite:///{folder}/puna.db")
    model_store = ModelStore(Settings.from_environment().home)
    with kind(model_store, ModelSettings(context_tokens=2048)) as models:
        services = Services.of(store, models, provider=provider)
        site = LateSite(store, model_store, payments=services.payments)
        app = create_app(services, ServerSettings(), site)
        with served(app) as address:
            yield Server(address, store, Links(store, Users(store)))


def ask(page: Page, text: str) -> float:
    """Press Enter; seconds until the first word stands on the page."""
    page.fill("#composer textarea", text)
    begun = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_selector(FIRST_WORD)
    return time.perf_counter() - begun


def answered(page: Page) -> str:
    """Wait for the end of the answer."""
    expect(page.locator(".message.live")).to_have_count(0, timeout=PATIENCE_MS)
    return page.locator(".message.assistant .prose").last.inner_text()


def stop(page: Page) -> str:
    """End the answer that is being given, as a person does; returns what was said."""
    page.keyboard.press("Escape")
    return answered(page)


def new_chat(page: Page, server: Server) -> None:
    page.goto(server.address)
    page.wait_for_selector(".main.empty")
