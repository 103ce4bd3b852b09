"""Draws docs/images/: every page in Chromium, by day and by night, at a desk and on a phone.

    .venv/bin/python docs/pages.py     # wants Chromium and the default model

In: nothing.  Out: the pictures.  People and talks are made up; pages, numbers and gauges are real.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the tests' Chromium and server

from playwright.sync_api import Browser, Page

from puna.accounts import (
    Caller,
    Keys,
    Ledger,
    Links,
    Payments,
    Plan,
    Plans,
    Price,
    Sessions,
    Store,
    Tenants,
    Users,
)
from puna.accounts.backups import Backups
from puna.accounts.local_provider import LocalProvider
from puna.accounts.schema import utc_now
from puna.chat import Tool, Usage
from puna.config import DEFAULT_MODEL, Settings
from puna.formats.store import ModelStore
from puna.llm.models import Models, ModelSettings
from puna.server.app import create_app
from puna.server.services import Services
from puna.server.settings import ServerSettings
from puna.server.web.site import LateSite
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.citations import Sources, resolve
from puna.services.assistant.owner import Owner
from tests.postgres import memory_disk
from tests.server.web.browser import chromium, served

IMAGES = Path(__file__).with_name("images")
Scheme = Literal["light", "dark"]
LIGHT: Scheme = "light"
DARK: Scheme = "dark"
DESK, PHONE = (1280, 800), (375, 720)
BUSY_S = 25  # how long the gauges are watched before their picture is taken

CONSOLE = (
    "models",
    "usage",
    "tenants",
    "users",
    "keys",
    "plans",
    "credits",
    "tools",
    "backups",
    "audit",
)
BY_NIGHT = {"chat", "empty", "memory", "settings", *(f"console-{c}" for c in CONSOLE)}
ON_PHONE = {"chat", "empty", "memory", "settings", "plan", "console-keys"}
BOTH = {"chat", "empty"}  # on a phone by night as well

NOTE = b"""# The puna

The puna is the high grassland of the Andes.
Llamas graze on ichu grass all year, alpacas where it is wet.
"""
SAID = "Tell me about the puna."
ANSWER = """The puna is the high grassland of the Andes, between **3,200 and 4,800 metres**. \
Llamas graze on *ichu* grass [1].

### A table

| animal | kg | note |
| --- | ---: | --- |
| llama | 150 | carries loads |
| alpaca | 65 | gives wool |

1. First, the `soil` is thin.
2. Second, nights freeze.
   - even in summer
   - often at noon

```python
def graze(herd: list[str]) -> int:
    return sum(animal == "llama" for animal in herd)
```
"""
HERD = '''
from mcp.server.mcpserver import MCPServer

herd = MCPServer("herd")


@herd.tool()
def count_animals(kind: str) -> str:
    """Count the animals of a kind in the herd book."""
    return kind


@herd.tool()
def find_animal(name: str) -> str:
    """Find an animal by its name, with its age and where it grazes."""
    return name


@herd.tool()
def note_birth(name: str) -> str:
    """Write a birth into the herd book."""
    return name


herd.run()
'''
TITLES = ("Packing list for Cusco", "Why bread rises at altitude", "A letter to the mayor")
LONG = (
    "Write a very long story in many chapters about a llama who crosses the Andes.",
    "Count from 1 to 2000, one number on each line.",
    "List three hundred animals of South America, each with a sentence about it.",
)


@dataclass(frozen=True)
class Shop:
    """A server with its owner, and what she has said."""

    address: str
    session: str
    talk: str
    guest: str  # the session of somebody of another tenant
    payment: str  # which that tenant has begun

    def paths(self) -> dict[str, str]:
        """The pages by the names of their pictures."""
        plain = {"empty": "/", "chat": f"/c/{self.talk}"}
        quiet = {name: f"/{name}" for name in ("memory", "plan", "settings")}
        quiet["settings-keys"] = "/settings#keys"
        return {**plain, **quiet, **{f"console-{name}": f"/console/{name}" for name in CONSOLE}}


@contextmanager
def opened() -> Iterator[Shop]:
    """Serve the default model, with people and a month of use in the books."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=memory_disk()))
        store = Store.open(f"sqlite:///{folder}/puna.db")
        ana = Users(store).create("ana@example.org", "a long password", name="Ana", role="owner")
        rosa = Users(store).create(
            "rosa@example.org", "one more password", name="Rosa", role="owner"
        )
        owner = Owner(ana.tenant_id, ana.id)
        session = Sessions(store).create(ana.id)
        home = stack.enter_context(at_home())
        guest, payment = furnish(store, session, ana.id)
        Keys(store).create("terminal", user=ana.id, actor=ana.id)
        Keys(store).create("search in talks", user=ana.id, actor=rosa.id)
        talk = converse(Assistant(store), owner)
        lend_tools(Assistant(store))
        Backups(store, home / "backups").make(actor=ana.id)
        model_store = ModelStore(home)
        models = stack.enter_context(Models(model_store, ModelSettings()))
        services = Services.of(store, models, provider=LocalProvider())
        site = LateSite(store, model_store, payments=services.payments)
        app = create_app(services, ServerSettings(), site)
        yield Shop(stack.enter_context(served(app)), session, talk, guest, payment)


@contextmanager
def at_home() -> Iterator[Path]:
    """A home whose path tells nothing of this machine, with the default model and a tool server."""
    home = Path(tempfile.gettempdir()) / "puna"
    model = ModelStore(Settings.from_environment().home).find(DEFAULT_MODEL)
    (home / "models").mkdir(parents=True)
    (home / "models" / DEFAULT_MODEL).symlink_to(model.parent)
    (home / "herd.py").write_text(f"#!{sys.executable}\n{HERD}")
    (home / "herd.py").chmod(0o700)
    try:
        with chdir(home):
            yield home
    finally:
        shutil.rmtree(home)


def lend_tools(assistant: Assistant) -> None:
    """A tool server that answers, two of whose tools are allowed."""

    async def offered() -> list[Tool]:
        try:
            return list(await assistant.remote.offers("herd"))
        finally:
            await assistant.close()

    assistant.servers.add("herd", command=["./herd.py"])
    assistant.servers.allow("herd", asyncio.run(offered())[:2])


def furnish(store: Store, session: str, actor: str) -> tuple[str, str]:
    """Plans, tenants, people and keys; and a month of requests.

    Returns a guest's session, and a payment that was begun.
    """
    price, dearer = Price(200_000, 50_000, 800_000), Price(150_000, 40_000, 600_000)
    Plans(store).create(Plan("team", "Team", monthly_tokens=20_000_000, prices={"*": price}))
    Plans(store).create(Plan("works", "Works", prices={"*": dearer}, priority=5, offered=True))
    bakery = Tenants(store).create("Bakery", "team", actor=actor)
    links = Links(store, Users(store))
    token = links.invite(bakery.id, actor=actor)
    luis = links.accept(token, "luis@example.org", "another password", "Luis")
    links.invite(bakery.id, actor=actor)
    for name in ("till", "price list"):
        Keys(store).create(name, bakery.id, actor=actor)
    Ledger(store).credit(bakery.id, 25_000_000, note="transfer of November", actor=actor)
    guest = Sessions(store).create(luis.id)
    buy(store, Sessions(store).verify(guest).caller, 1)
    buy(store, Sessions(store).verify(session).caller, 30)
    return guest, pay(store, bakery.id, actor)


def pay(store: Store, tenant_id: str, actor: str) -> str:
    """Buy credit twice, of which one has come; returns the other."""
    payments = Payments(store, Ledger(store), LocalProvider())
    begun = [payments.checkout(tenant_id, n * 1_000_000, "").id for n in (20, 25)]
    payments.confirm(begun[0], actor=actor)
    return begun[1]


def buy(store: Store, caller: Caller, days: int) -> None:
    """Ask for a number of days."""
    chance = random.Random(7)
    for back in range(days - 1, -1, -1):
        then = utc_now() - timedelta(days=back)
        ledger = Ledger(store, lambda then=then: then)  # type: ignore[misc]
        for _ in range(chance.choice((1, 2, 3, 5))):
            usage = Usage(chance.randrange(100, 1600), chance.randrange(80, 700))
            ledger.settle(ledger.admit(caller, "smollm2", usage), usage, "success")


def converse(assistant: Assistant, owner: Owner) -> str:
    """Memories, a preset, a file and talks; returns the one that is shown."""
    for fact in ("I cook for four, one of us vegetarian", "Answer in British English"):
        assistant.memory.add(owner, fact)
    assistant.memory.propose(owner, "Lives in Cusco")
    assistant.presets.create(owner, "My editor", "You make my letters shorter and kinder.")
    file = assistant.files.add(owner, "grassland.md", NOTE)
    talk = assistant.conversations.create(owner, title=SAID)
    said = assistant.messages.say(owner, talk.id, None, SAID, file_ids=[file.id])
    entry = assistant.messages.open_answer(owner, talk.id, said.id, model="smollm2")
    sources = Sources()
    found = assistant.files.search(owner, "llamas graze", file_ids=[file.id])[0]
    sources.add(found.file_id, found.name, found.passage)
    cited = [citation.as_json() for citation in resolve(ANSWER, sources)]
    count = {"completion_tokens": 182, "decode_s": 2.3}
    assistant.messages.finish(owner, entry.id, "complete", ANSWER, sources=cited, count=count)
    for title in TITLES:
        assistant.conversations.create(owner, title=title)
    return talk.id


def look(
    browser: Browser, shop: Shop, size: tuple[int, int], scheme: Scheme, session: str = ""
) -> Page:
    """A page of a browser that is signed in, as the owner or whose session it is."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=size == PHONE,
        is_mobile=size == PHONE,
    )
    token = session or shop.session
    context.add_cookies([{"name": "puna_session", "value": token, "url": shop.address}])
    return context.new_page()


def draw(page: Page, shop: Shop, names: set[str], ending: str) -> None:
    """Take the pictures of some pages."""
    for name, path in shop.paths().items():
        if name not in names:
            continue
        page.goto(shop.address + path)
        page.wait_for_load_state("networkidle")
        page.wait_for_selector(
            "[data-starting]", state="detached"
        )  # a tool server, which takes a while
        if name == "chat":
            page.locator(".scroll").evaluate("area => { area.scrollTop = 0; }")
        time.sleep(0.4)
        page.screenshot(path=IMAGES / f"{name}{ending}.png")
    page.context.close()


def welcome(browser: Browser, shop: Shop) -> None:
    """The door, as somebody who was invited finds it."""
    page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    page.goto(f"{shop.address}/welcome#a-link")
    page.screenshot(path=IMAGES / "welcome.png")


def draw_guests(browser: Browser, shop: Shop) -> None:
    """What a customer sees of plan and payment."""
    for size, scheme, ending in (
        (DESK, LIGHT, ""),
        (DESK, DARK, "-night"),
        (PHONE, LIGHT, "-phone"),
    ):
        page = look(browser, shop, size, scheme, shop.guest)
        for name, path in (("guest-plan", "/plan"), ("guest-pay", f"/pay/{shop.payment}")):
            page.goto(shop.address + path)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=IMAGES / f"{name}{ending}.png")
        page.context.close()


def talkers(browser: Browser, shop: Shop) -> list[Page]:
    """Open a page for each long question."""
    pages = [look(browser, shop, DESK, LIGHT) for _ in LONG]
    for page in pages:
        page.goto(shop.address)
    return pages


def keep_busy(pages: list[Page]) -> None:
    """Have each page ask for something long, whenever its last answer is over; gauges move."""
    for _ in range(BUSY_S):
        for page, question in zip(pages, LONG, strict=True):
            if not page.locator(".message.live").count():
                page.fill("#composer textarea", question)
                page.keyboard.press("Enter")
        time.sleep(1)


def draw_console(browser: Browser, shop: Shop) -> None:
    """Take the pictures of the gauges while three answers are given."""
    pages = talkers(browser, shop)
    for size, scheme, ending in (
        (DESK, LIGHT, ""),
        (DESK, DARK, "-night"),
        (PHONE, LIGHT, "-phone"),
    ):
        page = look(browser, shop, size, scheme)
        page.goto(f"{shop.address}/console")
        keep_busy(pages)
        page.screenshot(path=IMAGES / f"console{ending}.png")
        page.context.close()


def main() -> None:
    """Draw them all."""
    with opened() as shop, chromium() as browser:
        every = set(shop.paths())
        welcome(browser, shop)
        draw(look(browser, shop, DESK, LIGHT), shop, every, "")
        draw(look(browser, shop, DESK, DARK), shop, BY_NIGHT, "-night")
        draw(look(browser, shop, PHONE, LIGHT), shop, ON_PHONE, "-phone")
        draw(look(browser, shop, PHONE, DARK), shop, BOTH, "-phone-night")
        draw_guests(browser, shop)
        draw_console(browser, shop)


if __name__ == "__main__":
    main()
