"""Answers that were cut, with the default model in a real Chromium: they go on, and say why not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.accounts import Ledger, Plan, Plans, Sessions, Tenants, Users
from puna.accounts.history import History
from puna.chat import Usage
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.entry import Entry
from puna.services.assistant.owner import Owner
from tests.server.web.talking import (
    COUNTING,
    PATIENCE_MS,
    Server,
    answered,
    ask,
    new_chat,
    stop,
)

pytestmark = pytest.mark.default_model

WHO = {"name": "Cid", "email": "cid@example.org", "password": "a third password"}
PROSE = ".message.assistant .prose"


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with server.visited(browser, server.links.invite("owner"), WHO) as watch:
        yield watch.page
        assert watch.complaints == []


def kept(server: Server, page: Page, email: str = WHO["email"]) -> tuple[Entry, ...]:
    """What is kept of the conversation on the page."""
    user = Users(server.store).get(email)
    talk = re.search(r"con_\w+", page.url)
    assert talk
    owner = Owner(user.tenant_id, user.id)
    return Assistant(server.store).messages.path(owner, talk[0]).entries


def longer_than(page: Page, text: str) -> None:
    grown = re.compile(f".{{{len(text) + 60},}}", re.DOTALL)
    expect(page.locator(PROSE)).to_have_text(grown, timeout=PATIENCE_MS)


def test_a_stopped_answer_goes_on_by_button_and_by_keyboard(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, COUNTING)
    first = stop(page)
    [_, before] = kept(server, page)
    page.click("text=Continue")
    expect(page.locator("#composer textarea")).to_be_focused()
    longer_than(page, first)
    second = stop(page)
    assert second.startswith(first)
    page.keyboard.press("Control+Enter")
    longer_than(page, second)
    page.reload()  # the turn tells what was said before, and goes on
    expect(page.locator(".message.live")).to_have_count(1)
    assert page.locator(PROSE).inner_text().startswith(second)
    third = stop(page)
    [question, answer] = kept(server, page)
    assert (question.text, answer.id, answer.siblings) == (COUNTING, before.id, (before.id,))
    assert page.locator(".message").count() == 2
    assert answer.text.startswith(before.text)
    assert answer.count["completion_tokens"] > before.count["completion_tokens"]
    page.reload()
    assert page.locator(PROSE).inner_text() == third


def test_an_answer_that_its_length_ended_goes_on(page: Page, server: Server) -> None:
    new_chat(page, server)
    user = Users(server.store).get(WHO["email"])
    owner, presets = Owner(user.tenant_id, user.id), Assistant(server.store).presets
    brief = {"max_tokens": 12, "temperature": 0.0}
    short = presets.create(owner, "Short", "Tell stories.", parameters=brief)
    page.reload()
    page.click("[popovertarget=presets]")
    page.click("#presets b:text-is('Short')")
    ask(page, COUNTING)
    first = answered(page)
    expect(page.locator(".stopped")).to_contain_text("Cut off")
    page.click("text=Continue")
    longer = answered(page)
    assert len(longer) > len(first)
    [_, answer] = kept(server, page)
    assert answer.count["completion_tokens"] <= 24
    presets.delete(owner, short.id)


def test_only_the_last_answer_offers_it(page: Page, server: Server) -> None:
    new_chat(page, server)
    ask(page, COUNTING)
    stop(page)
    ask(page, "Say hello.")
    answered(page)
    expect(page.locator(".go-on").first).to_be_hidden()


def tenant_on(server: Server, plan: Plan, name: str) -> str:
    Plans(server.store).create(plan)
    return server.links.invite(Tenants(server.store).create(name, plan.id).id)


def spend(server: Server, email: str, leaving: int) -> None:
    """Use up the month but for so many tokens, as programs of the same tenant would."""
    sessions, ledger = Sessions(server.store), Ledger(server.store)
    caller = sessions.verify(sessions.create(Users(server.store).get(email).id)).caller
    left = ledger.standing(caller).rates.monthly_tokens.remaining or 0
    rest = Usage(left - leaving, 0)
    ledger.settle(ledger.admit(caller, "smollm2", rest), rest, "success")


def test_the_last_tokens_of_a_plan_make_a_shorter_answer_and_say_so(
    browser: Browser, server: Server
) -> None:
    who = {**WHO, "email": "dee@example.org"}
    token = tenant_on(server, Plan("last", "Last", monthly_tokens=4000), "Last")
    with server.visited(browser, token, who) as watch:
        page = watch.page
        spend(server, who["email"], leaving=200)
        ask(page, COUNTING)
        answered(page)
        expect(page.locator(".stopped")).to_contain_text("Your plan has no more for this answer.")
        expect(page.locator(".stopped a")).to_have_attribute("href", "/plan")
        [_, answer] = kept(server, page, who["email"])
        assert 32 <= answer.count["completion_tokens"] < 200
        assert answer.outcome == "length"
        expect(page.locator(".left b")).to_have_text("0 % of the month's tokens left")
        page.reload()
        expect(page.locator(".stopped a")).to_have_attribute("href", "/plan")
        page.click("text=Continue")  # nothing is left: it is said, and what was said stays
        expect(page.locator(".failed a")).to_have_attribute("href", "/plan")
        page.reload()
        expect(page.locator(".failed a")).to_have_attribute("href", "/plan")
        assert kept(server, page, who["email"])[1].text == answer.text
        Plans(server.store).change("last", monthly_tokens=100_000)
        page.click("text=Continue")
        page.wait_for_selector(".message.live")
        longer_than(page, answer.text)
        stop(page)
    assert History(server.store).latest() == []  # a plan without prices: no money moved
