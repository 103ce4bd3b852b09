"""What a person keeps, in a real Chromium: presets and files, made, changed and thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from puna.services.assistant.presets import BUILT_IN
from tests.server.web.home import Home, at_home
from tests.tiny import TinyLlama


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        yield home


@pytest.fixture
def page(browser: Browser, home: Home) -> Iterator[Page]:
    with browser.new_context() as context:
        yield home.signed_in(context)


def test_a_preset_is_written_changed_chosen_and_deleted(home: Home, page: Page) -> None:
    presets = home.house.assistant.presets
    for left in presets.list(home.owner)[len(BUILT_IN) :]:  # by an earlier try
        presets.delete(home.owner, left.id)
    page.goto(home.address + "/settings")
    page.click("summary:has-text('Write a preset')")
    card = page.locator("details", has_text="Write a preset")
    card.locator("[name=name]").fill("Poet")
    card.locator("[name=instructions]").fill("Answer in rhyme.")
    with page.expect_navigation():
        card.locator("text=Keep").click()
    page.click("summary:has-text('Poet')")
    card = page.locator("details", has_text="Poet")
    card.locator("[name=instructions]").fill("Answer in verse.")
    with page.expect_navigation():
        card.locator("text=Keep").click()
    poet = presets.list(home.owner)[-1]
    assert (poet.name, poet.instructions, poet.tools) == ("Poet", "Answer in verse.", None)
    page.goto(home.address)
    page.click("[popovertarget=presets]")
    page.click("#presets b:text-is('Poet')")
    expect(page.locator("[popovertarget=presets]")).to_contain_text("Poet")
    page.goto(home.address + "/settings")
    page.click("summary:has-text('Poet')")
    page.click("details:has-text('Poet') >> text=Delete")
    with page.expect_navigation():
        page.click("#sure [data-close=yes]")
    assert "Poet" not in [preset.name for preset in presets.list(home.owner)]


def test_a_preset_chooses_its_model_and_tools(home: Home, page: Page) -> None:
    presets = home.house.assistant.presets
    kept = presets.create(
        home.owner, "Clerk", "Count.", model="gone", parameters={"seed": 7}, tools=["gone__away"]
    )
    for name in ("alpaca", "vicuna"):
        TinyLlama(seed=1).write_gguf(home.house.model_store.folder / name / "tiny.gguf")
    page.goto(home.address + "/settings")
    page.click("summary:has-text('Clerk')")
    card = page.locator("details", has_text="Clerk")
    expect(card.locator("[name=model]")).to_have_value("gone")
    expect(card.get_by_label("gone__away (not there now)")).to_be_checked()
    card.get_by_label("gone__away (not there now)").uncheck()
    card.get_by_label("Calculator").check()
    card.locator("[name=temperature]").fill("0.5")
    card.locator("[name=model]").select_option("vicuna")
    with page.expect_navigation():
        card.locator("text=Keep").click()
    changed = presets.get(home.owner, kept.id)
    assert (changed.model, changed.tools) == ("vicuna", ("calculate",))
    assert changed.parameters == {"seed": 7, "temperature": 0.5}
    page.click("summary:has-text('Clerk')")
    card = page.locator("details", has_text="Clerk")
    card.get_by_label("Every tool that there is").check()
    expect(card.get_by_label("Calculator")).to_be_hidden()
    with page.expect_navigation():
        card.locator("text=Keep").click()
    assert presets.get(home.owner, kept.id).tools is None
    page.goto(home.address)
    picked = page.locator("[popovertarget=models] .chosen")
    page.click("[popovertarget=models]")
    page.click("#models b:text-is('alpaca')")
    expect(picked).to_have_text("alpaca")
    page.click("[popovertarget=presets]")
    page.click("#presets b:text-is('Clerk')")
    expect(picked).to_have_text("vicuna")  # it came with the preset
    presets.delete(home.owner, kept.id)


def test_a_talk_whose_preset_is_gone_shows_and_sends_the_default(home: Home, page: Page) -> None:
    assistant = home.house.assistant
    poet = assistant.presets.create(home.owner, "Poet", "Answer in rhyme.")
    talk = assistant.conversations.create(home.owner)
    assistant.conversations.choose(home.owner, talk.id, model="", preset_id=poet.id)
    page.goto(f"{home.address}/c/{talk.id}")
    expect(page.locator("[popovertarget=presets]")).to_contain_text("Poet")
    assistant.presets.delete(home.owner, poet.id)
    page.reload()
    expect(page.locator("[popovertarget=presets]")).to_contain_text("Puna")
    page.fill("#composer textarea", "Hello")
    with page.expect_request("**/web/turns") as sent:
        page.keyboard.press("Enter")
    assert '"preset":null' in str(sent.value.post_data)


def test_a_file_is_deleted_once_that_is_meant(home: Home, page: Page, tmp_path: Path) -> None:
    (tmp_path / "ichu.md").write_text("# Ichu\n\nIchu is a grass.\n")
    page.goto(home.address)
    with page.expect_response("**/web/files"):
        page.set_input_files("input[type=file]", tmp_path / "ichu.md")
    page.goto(home.address + "/settings")
    page.click("[aria-label='Delete ichu.md']")
    expect(page.locator("#sure [data-close=yes]")).to_have_text("Delete")
    page.click("#sure >> text=Leave it")
    expect(page.locator("[aria-label='Delete ichu.md']")).to_have_count(1)
    page.click("[aria-label='Delete ichu.md']")
    with page.expect_navigation():
        page.click("#sure [data-close=yes]")
    expect(page.locator("[aria-label='Delete ichu.md']")).to_have_count(0)


def test_a_question_is_not_sent_without_the_file_that_failed_under_it(
    home: Home, page: Page, tmp_path: Path
) -> None:
    held: list[Route] = []
    page.route("**/web/files", lambda route: held.append(route))  # noqa: PLW0108 (it is marked)
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    page.goto(home.address)
    page.set_input_files("input[type=file]", tmp_path / "torn.pdf")
    page.fill("#composer textarea", "What does it say?")
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert page.locator(".message").count() == 0
    held[0].continue_()
    expect(page.locator(".toast")).to_contain_text("torn.pdf")
    page.wait_for_timeout(200)
    assert page.locator(".message").count() == 0
    assert page.input_value("#composer textarea") == "What does it say?"
