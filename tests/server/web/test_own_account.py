"""One's own account in Chromium: what is remembered, signing in and out, what is taken along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.server.web.home import Home, at_home
from tests.server.web.house import OWNER


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        yield home


@pytest.fixture
def page(browser: Browser, home: Home) -> Iterator[Page]:
    with browser.new_context() as context:
        yield home.signed_in(context)


def sign_in(page: Page, home: Home, password: str) -> None:
    page.goto(home.address + "/login")
    page.fill("#email", OWNER["email"])
    page.fill("#password", password)
    page.keyboard.press("Enter")


def test_a_fact_is_forgotten(home: Home, page: Page) -> None:
    memory = home.house.assistant.memory
    memory.add(home.owner, "I keep guanacos")
    page.goto(home.address + "/memory")
    with page.expect_navigation():
        page.click("[aria-label='Forget: I keep guanacos']")
    expect(page.locator("main")).not_to_contain_text("guanacos")
    assert "I keep guanacos" not in [fact.text for fact in memory.list(home.owner)]


def test_what_a_model_proposes_waits_for_a_yes_or_a_no(home: Home, page: Page) -> None:
    memory = home.house.assistant.memory
    for text in ("Lives in Cusco", "Likes quinoa"):
        memory.propose(home.owner, text)
    page.goto(home.address + "/memory")
    proposed = page.locator("li", has_text="Lives in Cusco")
    with page.expect_navigation():
        proposed.get_by_role("button", name="Yes").click()
    refused = page.locator("li", has_text="Likes quinoa")
    with page.expect_navigation():
        refused.get_by_role("button", name="No").click()
    expect(page.locator("textarea:text-is('Lives in Cusco')")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("quinoa")
    texts = [fact.text for fact in memory.list(home.owner)]
    assert "Lives in Cusco" in texts
    assert "Likes quinoa" not in texts


def test_one_signs_out_and_in_again(home: Home, page: Page) -> None:
    page.goto(home.address + "/settings")
    page.click("text=Sign out")
    page.wait_for_url(re.compile("/login"))
    page.goto(home.address + "/settings")
    page.wait_for_url(re.compile(r"/login\?next=/settings$"))
    sign_in(page, home, "a wrong password")
    expect(page.locator(".wrong")).to_contain_text("The address or the password is wrong")
    sign_in(page, home, OWNER["password"])
    page.wait_for_selector("#composer")


def test_a_new_password_ends_every_session(home: Home, page: Page, browser: Browser) -> None:
    with browser.new_context() as elsewhere:
        other = home.signed_in(elsewhere)
        other.goto(home.address + "/settings")
        page.goto(home.address + "/settings")
        page.fill("#old", "not the one")
        page.fill("#new", "a newer password")
        page.click("text=Change")
        expect(page.locator("form:has(#old) .wrong")).not_to_be_empty()
        page.fill("#old", OWNER["password"])
        page.click("text=Change")
        page.wait_for_url(re.compile("/login"))
        other.reload()
        other.wait_for_url(re.compile("/login"))
    sign_in(page, home, OWNER["password"])
    expect(page.locator(".wrong")).to_contain_text("wrong")
    sign_in(page, home, "a newer password")
    page.wait_for_selector("#composer")
    home.house.users.set_password(OWNER["email"], OWNER["password"])


def test_a_conversation_is_taken_along_as_markdown(home: Home, page: Page) -> None:
    talk = home.talk("Where do vicunas live?", "High *up*.", title="Vicunas")
    page.goto(f"{home.address}/c/{talk}")
    entry = page.locator(f"[data-talk={talk}]")
    entry.hover()
    entry.locator("[data-more]").click()
    with page.expect_download() as download:
        page.click("text=Export as Markdown")
    assert download.value.suggested_filename == "Vicunas.md"
    text = Path(download.value.path()).read_text()
    assert text.startswith("# Vicunas")
    assert text.index("Where do vicunas live?") < text.index("High *up*.")


def test_every_conversation_is_deleted_once_that_is_meant(home: Home, page: Page) -> None:
    home.talk("One?", "Yes.")
    talks = home.house.assistant.conversations
    page.goto(home.address + "/settings")
    page.click("text=Delete every conversation")
    page.click("#sure [data-close='']")
    assert talks.list(home.owner)
    page.click("text=Delete every conversation")
    page.click("#sure [data-close=yes]")
    page.wait_for_url(home.address + "/")
    expect(page.locator("[data-talk]")).to_have_count(0)
    assert not talks.list(home.owner)
