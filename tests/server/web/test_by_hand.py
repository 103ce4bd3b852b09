"""What a person does by hand in Chromium: tools, quoted files of each kind, a model's figures."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.accounts import Tenants, Users
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.citations import Sources, resolve
from puna.services.assistant.owner import Owner
from tests.server.web.house import GUEST
from tests.server.web.talking import Server, answered, ask, new_chat, stop
from tests.services.assistant.pdf import pdf

pytestmark = pytest.mark.default_model

SAID = "Llamas graze on ichu grass all year."
FILES: dict[str, tuple[bytes, str]] = {  # what is attached, and where the passage is said to stand
    "notes.txt": (f"Of the puna.\n\n{SAID}\n".encode(), "lines 1-3"),
    "notes.md": (f"# The puna\n\n## Grass\n\n{SAID}\n".encode(), "lines 1-5"),
    "notes.pdf": (pdf(["The first page."], [SAID]), "page 2"),
    "notes.csv": (f"animal,note\nalpaca,wool\nllama,{SAID}\n".encode(), "row"),
    "notes.html": (f"<h1>The puna</h1><p>{SAID}</p><script>hit()</script>".encode(), "line 1"),
}


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of somebody of a tenant without limits."""
    tenant = Tenants(server.store).create(f"hands-{secrets.token_hex(4)}", "owner")
    with server.visited(browser, server.links.invite(tenant.id), who()) as watch:
        yield watch.page
        assert watch.foreign(server.address) == []
        assert watch.executions == 0


def who() -> dict[str, str]:
    return {**GUEST, "email": f"{secrets.token_hex(4)}@example.org"}


def owner_of(server: Server) -> Owner:
    user = Users(server.store).list()[-1]
    return Owner(user.tenant_id, user.id)


def test_tools_are_called_by_hand(page: Page, server: Server, tmp_path: Path) -> None:
    new_chat(page, server)
    ask(page, "/calc 12 * 7")
    answered(page)
    expect(page.locator(".message.assistant").last).to_contain_text("84")
    ask(page, "/date")
    answered(page)
    expect(page.locator(".message.assistant").last).to_contain_text(f"{datetime.now():%Y}")
    file = tmp_path / "herd.txt"
    file.write_text("The oldest alpaca of the herd is called Wayra.")
    page.set_input_files("input[type=file]", file)
    page.wait_for_selector(".chips .name:text-is('herd.txt')")
    ask(page, "/search Wayra")
    answered(page)
    last = page.locator(".message.assistant").last
    expect(last).to_contain_text("Wayra")
    last.locator(".sources button").first.click()
    expect(page.locator("#passage blockquote")).to_contain_text("is called Wayra")
    page.keyboard.press("Escape")


@pytest.mark.parametrize("name", FILES)
def test_a_citation_opens_its_passage(
    page: Page, server: Server, tmp_path: Path, name: str
) -> None:
    data, where = FILES[name]
    (tmp_path / name).write_bytes(data)
    new_chat(page, server)
    page.set_input_files("input[type=file]", tmp_path / name)
    page.wait_for_selector(f".chips .name:text-is('{name}')")
    ask(page, "On what do llamas graze?")
    stop(page)
    cite(server, page.url.rpartition("/")[2])
    page.reload()
    page.locator(".cite").click()
    passage = page.locator("#passage")
    expect(passage.locator("h2")).to_have_text(name)
    expect(passage.locator("blockquote")).to_contain_text(SAID)
    expect(passage.locator(".where")).to_contain_text(where)
    page.keyboard.press("Escape")
    expect(passage).to_be_hidden()


def cite(server: Server, conversation_id: str) -> None:
    """Let the answer quote the passage, as a larger model would."""
    assistant, sources = Assistant(server.store), Sources()
    owner = owner_of(server)
    entries = assistant.messages.path(owner, conversation_id).entries
    found = assistant.files.search(owner, "llamas graze", file_ids=entries[0].file_ids)[0]
    sources.add(found.file_id, found.name, found.passage)
    text = f"{SAID.removesuffix('.')} [1]."
    cited = [citation.as_json() for citation in resolve(text, sources)]
    assistant.messages.finish(owner, entries[1].id, "complete", text, sources=cited)


def test_the_picker_shows_context_and_speed(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, "Name three animals of the Andes.")
    answered(page)
    page.reload()
    expect(page.locator("[popovertarget=models] .dim")).to_have_text(
        re.compile(r"2k context · [1-9]\d*/s")
    )
    page.click("[popovertarget=models]")
    expect(page.locator("#models small").first).to_have_text(
        re.compile(r"MB · 2k context · [1-9]\d* tokens a second here")
    )
    page.keyboard.press("Escape")
