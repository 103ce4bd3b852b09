"""Tool servers in a real Chromium: added, looked into, allowed, switched off, removed."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.chat import Tool as Definition
from puna.server.web.house import House
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.events import Begun
from puna.services.assistant.owner import Owner
from puna.services.assistant.question import Question
from puna.services.assistant.tools.remote import RemoteTools
from tests.server.web.browser import Watch, served
from tests.server.web.house import OWNER, guest, new_house, owner, whole
from tests.services.assistant.scripted import Scripted, calls, says
from tests.services.assistant.tools.hostile_server import hostile
from tests.services.assistant.tools.over_http import served_over_http

SMALL = str(Path(__file__).parents[2] / "services/assistant/tools/small_server.py")
COMMAND = shlex.join([sys.executable, SMALL])
CARD = "[data-server=small]"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return new_house(tmp_path)


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    """The owner's page of tools, watched all the time."""
    user = house.links.accept(house.links.for_owner() or "", OWNER["email"], OWNER["password"])
    cookie = {"name": "puna_session", "value": house.sessions.create(user.id)}
    with served(whole(house)) as address, browser.new_context() as context:
        context.add_cookies([{**cookie, "url": address}])  # type: ignore[typeddict-item]
        page = context.new_page()
        watch = Watch(page)
        page.goto(f"{address}/console/tools")
        yield page
        assert watch.foreign(address) == []
        assert [said for said in watch.complaints if "400" not in said] == []


def add(page: Page, name: str, **fields: str) -> None:
    page.fill("#name", name)
    for field, text in fields.items():
        page.fill(f"#{field}", text)
    page.click("button:text-is('Add')")


def press(page: Page, button: str) -> None:
    """Press what changes the server, and wait until the page is there anew."""
    with page.expect_event("load"):
        page.locator(CARD).get_by_role("button", name=button).click()
        if button == "Remove":  # the page asks before it does
            page.click("#sure >> button:text-is('Remove')")


def test_a_server_is_added_its_tools_allowed_and_it_is_removed(page: Page, house: House) -> None:
    add(page, "small", command=COMMAND)
    card = page.locator(CARD)
    expect(card.locator(".tag.on")).to_have_text("answers", timeout=20_000)
    expect(card.locator(".tool")).to_have_count(6)
    assert card.locator("input:checked").count() == 0
    card.locator(".tool", has_text="Add two numbers.").locator("input").check()
    press(page, "Allow what is ticked")
    expect(page.locator(f"{CARD} input:checked")).to_have_count(1)
    [server] = house.assistant.servers.list()
    assert list(server.allowed) == ["add"]

    press(page, "Switch off")
    expect(page.locator(f"{CARD} .tag.off")).to_have_text("switched off")
    assert not house.assistant.servers.list()[0].enabled
    press(page, "Switch on")
    expect(page.locator(f"{CARD} input:checked")).to_have_count(1)  # what was allowed still is
    press(page, "Remove")
    expect(page.locator(CARD)).to_have_count(0)
    assert house.assistant.servers.list() == []


def test_a_server_behind_an_address_is_added_used_by_a_model_and_removed(
    page: Page, house: House
) -> None:
    with served_over_http() as url:
        add(page, "small", address=url)
        expect(page.locator(f"{CARD} .tag.on")).to_have_text("answers", timeout=20_000)
        page.locator(f"{CARD} .tool", has_text="Add two numbers.").locator("input").check()
        press(page, "Allow what is ticked")
        person = house.users.get(OWNER["email"])
        talk = answered_with_a_call(house, Owner(person.tenant_id, person.id))
        console = page.url
        page.goto(console.replace("/console/tools", f"/c/{talk}"))
        note = page.locator("details.tool")
        expect(note).to_contain_text("small: add")
        expect(note).to_contain_text("answer: 5")
        expect(page.locator(".prose")).to_have_text("It is five.")
        page.goto(console)
        press(page, "Remove")
        expect(page.locator(CARD)).to_have_count(0)
        assert house.assistant.servers.list() == []


def answered_with_a_call(house: House, owner: Owner) -> str:
    """Have a scripted model call what the owner allowed; returns the conversation."""

    async def asked() -> str:
        assistant = Assistant(house.assistant.store)
        model = Scripted(calls("small__add", '{"left": 2, "right": 3}'), says("It is five."))
        question = Question(text="What is two and three?")
        events = Answering(assistant).answer(owner, question, model)
        told = [event async for event in events]
        await assistant.close()
        assert model.tools[0][-1] == "small__add"
        return next(event.conversation.id for event in told if isinstance(event, Begun))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asked())).result()


@pytest.mark.parametrize(
    ("trick", "words"),
    [("redirect-307", "not followed"), ("endless", "longer than 8 MiB"), ("packed", "parse")],
)
def test_an_address_that_means_harm_is_shown_with_its_fault(
    page: Page, trick: str, words: str
) -> None:
    with hostile() as server, hostile() as elsewhere:
        server.elsewhere = elsewhere.address
        add(page, "small", address=f"{server.address}/{trick}")
        expect(page.locator(f"{CARD} .warn")).to_contain_text(words, timeout=20_000)
        assert elsewhere.seen == []


def test_a_tool_that_changed_its_words_stands_unticked_and_marked(page: Page, house: House) -> None:
    servers = house.assistant.servers
    servers.add("small", command=[sys.executable, SMALL])
    seen = [tool for tool in offered(house) if tool.name in {"add", "long"}]
    servers.remove("small")
    servers.add("small", command=[sys.executable, SMALL, "changed"])
    servers.allow("small", seen)
    page.reload()
    ticked = page.locator(f"{CARD} .tool:has(:checked) b")
    expect(ticked).to_have_text(["long"])
    expect(page.locator(f"{CARD} .tool", has_text="send all files")).to_contain_text("changed")


def offered(house: House) -> list[Definition]:
    """What the server says, asked on an event loop of its own: Chromium's runs in this thread."""

    async def asked() -> list[Definition]:
        remote = RemoteTools(house.assistant.servers)
        try:
            return await remote.offers("small")
        finally:
            await remote.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asked())).result()


def test_what_cannot_be_reached_or_read_says_why(page: Page) -> None:
    add(page, "small", command="/no/such/program")
    expect(page.locator(f"{CARD} .warn")).to_contain_text("cannot be reached")
    add(page, "other", command="python 'x")
    expect(page.locator(".wrong").last).to_contain_text("cannot be read: No closing")
    add(page, "other", command="")
    expect(page.locator(".wrong").last).to_contain_text("either a command or an address")


def test_what_the_owner_did_not_see_is_not_allowed_and_no_process_stays(house: House) -> None:
    with owner(house) as client:
        before, new = children(), {"name": "small", "command": COMMAND}
        assert client.post("/web/console/tools", json=new).is_success
        tools = "/web/console/tools/small"
        while "still starting" in client.get("/console/tools").text:
            pass
        answer = client.put(f"{tools}/allowed", json={"tools": ["another digest"]})
        assert answer.status_code == 409
        assert not house.assistant.servers.list()[0].allowed
        assert children() > before
        assert client.patch(tools, json={"state": "off"}).is_success
        assert children() == before
        assert client.delete(tools).is_success


def children() -> set[str]:
    """The processes that this one began."""
    lists = Path("/proc/self/task").glob("*/children")
    return {child for each in lists for child in each.read_text().split()}


def test_the_console_is_the_owners_alone(house: House) -> None:
    owner(house)
    other = guest(house)
    assert other.get("/console/tools").status_code == 404
    added = other.post("/web/console/tools", json={"name": "small", "command": COMMAND})
    assert added.status_code == 404
    assert house.assistant.servers.list() == []
