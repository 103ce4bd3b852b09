"""Whole talks in a real Chromium with the default model behind the real server."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.accounts import Ledger, Plan, Plans, Sessions, Tenants, Users
from puna.chat import Usage
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.citations import Sources, resolve
from puna.services.assistant.owner import Owner
from tests.server.web.browser import Watch
from tests.server.web.house import GUEST, OWNER
from tests.server.web.talking import (
    COUNTING,
    FIRST_WORD,
    PATIENCE_MS,
    Server,
    answered,
    ask,
    new_chat,
    stop,
)

pytestmark = pytest.mark.default_model


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The owner's page: made by the one-time link, watched all the time."""
    with server.visited(browser, server.links.for_owner() or "", OWNER) as watch:
        yield watch.page
        assert watch.foreign(server.address) == []
        assert watch.complaints == []
        assert watch.executions == 0


def test_the_link_leads_into_an_empty_chat_and_a_question_is_answered(
    page: Page, server: Server
) -> None:
    assert page.url == f"{server.address}/"
    assert "Ana" in page.locator(".greeting").inner_text()
    ask(page, "Who wrote Hamlet?")
    assert answered(page)
    assert re.search(r"/c/con_\w+$", page.url)
    assert page.title() == "Who wrote Hamlet? · Puna"
    assert page.locator(".talks [aria-current]").inner_text() == "Who wrote Hamlet?"
    kept = page.locator(".prose").inner_text()
    page.reload()
    assert page.locator(".prose").inner_text() == kept


def test_the_first_word_comes_at_once(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, "Hello!")
    answered(page)
    times = []
    for _ in range(3):
        new_chat(page, server)
        times.append(ask(page, "Tell me about grass."))
        stop(page)
    assert min(times) < 3.0  # 0.3 s on a quiet machine; this one tests other things meanwhile


def test_escape_stops_and_what_was_said_is_kept(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, COUNTING)
    said = stop(page)
    assert said
    expect(page.locator(".stopped")).to_contain_text("Stopped.")
    page.reload()
    assert page.locator(".prose").inner_text() == said
    assert page.locator(".stopped").count() == 1


def test_an_answer_goes_on_while_the_page_is_loaded_again(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, COUNTING)
    before = page.locator(".message.assistant .prose").inner_text()
    page.reload()
    grown = re.compile(f".{{{len(before) + 40},}}", re.DOTALL)
    expect(page.locator(".message.live .prose")).to_have_text(grown, timeout=PATIENCE_MS)
    page.click("[aria-label='Stop the answer']")
    answered(page)
    expect(page.locator(".stopped")).to_contain_text("Stopped.")
    expect(page.locator(".failed")).to_have_count(0)


def test_again_makes_a_branch_and_so_does_an_edit(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, "Name a colour.")
    answered(page)
    page.click("[aria-label='Answer again']")
    page.wait_for_selector(FIRST_WORD)
    answered(page)
    expect(page.locator(".message.assistant .branch")).to_contain_text("2 of 2")
    page.locator("#composer textarea").focus()
    page.keyboard.press("ArrowUp")
    page.locator(".editing textarea").fill("Name an animal.")
    page.keyboard.press("Enter")
    page.wait_for_selector(FIRST_WORD)
    answered(page)
    expect(page.locator(".message.user .branch")).to_contain_text("2 of 2")
    page.locator(".message.user [aria-label='Previous version']").click()
    expect(page.locator(".message.user .said")).to_have_text("Name a colour.")
    expect(page.locator(".message.assistant .branch")).to_contain_text("2 of 2")


def test_a_file_is_quoted_and_its_passage_opens(page: Page, server: Server, tmp_path: Path) -> None:
    """The model may or may not cite; so the answer that cites is written by hand, the file not."""
    new_chat(page, server)
    note = tmp_path / "ichu.md"
    note.write_text("# Ichu\n\nIchu grass covers the high plain. Llamas graze on it all year.\n")
    page.set_input_files("input[type=file]", note)
    page.wait_for_selector(".chips .name:text-is('ichu.md')")
    ask(page, "What do llamas graze on? Cite [1].")
    answered(page)
    expect(page.locator(".message.user .enclosed")).to_contain_text("ichu.md")
    expect(page.locator(".sources button")).to_contain_text("ichu.md")  # cited, or at least read
    cite_by_hand(server, page.url.rpartition("/")[2])
    page.reload()
    expect(page.locator(".cite")).to_have_text("1")
    page.locator(".sources button").first.click()
    expect(page.locator("#passage h2")).to_have_text("ichu.md")
    expect(page.locator("#passage blockquote")).to_contain_text("Llamas graze on it all year.")
    page.keyboard.press("Escape")


def cite_by_hand(server: Server, conversation_id: str) -> None:
    assistant = Assistant(server.store)
    user = Users(server.store).get(OWNER["email"])
    owner, sources = Owner(user.tenant_id, user.id), Sources()
    entries = assistant.messages.path(owner, conversation_id).entries
    found = assistant.files.search(owner, "llamas graze", file_ids=entries[0].file_ids)[0]
    sources.add(found.file_id, found.name, found.passage)
    text = "Llamas graze on ichu grass all year [1]."
    cited = [citation.as_json() for citation in resolve(text, sources)]
    assistant.messages.finish(owner, entries[1].id, "complete", text, sources=cited)


def test_the_gauges_move_while_an_answer_is_given(page: Page, server: Server) -> None:
    running = page.locator("[data-gauge=running] span")
    page.goto(f"{server.address}/console")
    expect(running).to_have_text("0", timeout=90_000)  # what other tests left has ended
    new_chat(page, server)
    ask(page, COUNTING)
    page.goto(f"{server.address}/console")
    expect(running).to_have_text("1", timeout=5000)
    page.wait_for_selector("[data-gauge=pace] span:not(:text-is('0'))")
    page.go_back()
    expect(page.locator(".message.live .prose")).not_to_be_empty()
    stop(page)


def test_a_spent_plan_is_said_with_a_way_on(browser: Browser, server: Server) -> None:
    once = secrets.token_hex(4)  # tried again, it meets what it made before
    plan = Plans(server.store).create(Plan(f"tiny-{once}", "Tiny", monthly_tokens=2100))
    tenant = Tenants(server.store).create("Small", plan.id)
    guest = {**GUEST, "email": f"{once}@example.org"}
    with server.visited(browser, server.links.invite(tenant.id), guest) as watch:
        page = watch.page
        expect(page.locator(".left b")).to_have_text("100 % of the month's tokens left")
        ask(page, "Hello!")
        answered(page)
        expect(page.locator(".failed")).to_have_count(0)
        expect(page.locator(".left b")).not_to_have_text(
            "100 % of the month's tokens left"
        )  # it is settled
        spend_the_rest(server, guest["email"])
        page.fill("#composer textarea", "Hello!")
        page.keyboard.press("Enter")
        page.click(".failed a")
        page.wait_for_url("**/plan")
        expect(page.locator("main")).to_contain_text("0 of 2,100 left")


def spend_the_rest(server: Server, email: str) -> None:
    """Use up the month, as programs of the same tenant would."""
    sessions, ledger = Sessions(server.store), Ledger(server.store)
    user = Users(server.store).get(email)
    caller = sessions.verify(sessions.create(user.id)).caller
    rest = Usage(ledger.standing(caller).rates.monthly_tokens.remaining or 0, 0)
    ledger.settle(ledger.admit(caller, "smollm2", rest), rest, "success")


def test_three_others_do_not_stand_in_the_way(browser: Browser, page: Page, server: Server) -> None:
    """Three people of other tenants are given long answers while this page asks."""
    new_chat(page, server)
    with ExitStack() as stack:
        others = [stack.enter_context(invited(browser, server)).page for _ in range(3)]
        for other in others:
            ask(other, COUNTING)
        page.bring_to_front()
        assert ask(page, "Say hello in one word.") < 5.0  # 0.4 on a machine that is not busy
        assert answered(page)
        for other in others:
            stop(other)


def invited(browser: Browser, server: Server) -> AbstractContextManager[Watch]:
    """Somebody of a tenant of their own, in a browser of their own."""
    once = secrets.token_hex(4)
    tenant = Tenants(server.store).create(f"others-{once}", "owner")
    who = {**GUEST, "email": f"{once}@example.org"}
    return server.visited(browser, server.links.invite(tenant.id), who)
