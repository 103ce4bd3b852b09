"""Every page in a real Chromium: foreign requests, weight, its buttons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.server.web.browser import Watch
from tests.server.web.home import PAGES, Home, at_home

FIRST_LOAD_BYTES = 300_000


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        yield home


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as fresh:
        yield fresh


def test_the_first_load_is_light_and_asks_nobody_else(home: Home, context: BrowserContext) -> None:
    page = home.signed_in(context)
    watch = Watch(page)
    weights: list[int] = []
    page.on("response", lambda answer: weights.append(answer.request.sizes()["responseBodySize"]))
    page.goto(home.address)
    page.wait_for_load_state("networkidle")
    assert 0 < sum(weights) < FIRST_LOAD_BYTES
    assert not [url for url in watch.requests if "katex" in url or "highlight" in url]
    assert watch.foreign(home.address) == []
    assert watch.complaints == []


def test_branches_are_stepped_through(home: Home, context: BrowserContext) -> None:
    talk = home.talk("One?", "First.")
    records = home.house.assistant
    said = records.messages.path(home.owner, talk).entries[0]
    second = records.messages.open_answer(home.owner, talk, said.id, model="smollm2")
    records.messages.finish(home.owner, second.id, "complete", "Second.")
    page = home.signed_in(context)
    page.goto(f"{home.address}/c/{talk}")
    assert page.locator(".prose").inner_text() == "Second."
    assert "2 of 2" in page.locator(".branch").inner_text()
    page.click("[aria-label='Previous version']")
    page.wait_for_selector("text=First.")
    assert "1 of 2" in page.locator(".branch").inner_text()
    page.reload()
    assert page.locator(".prose").inner_text() == "First."


def test_a_conversation_is_renamed_found_exported_and_deleted(
    home: Home, context: BrowserContext
) -> None:
    talk = home.talk("Where do vicunas live?", "High up.")
    page = home.signed_in(context)
    watch = Watch(page)
    page.goto(f"{home.address}/c/{talk}")
    entry = page.locator(f"[data-talk={talk}]")
    entry.hover()
    entry.locator("[data-more]").click()
    page.click("text=Rename")
    page.keyboard.type("Vicunas")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"[data-talk={talk}] a:text-is('Vicunas')")
    assert page.title() == "Vicunas · Puna"

    page.keyboard.press("Control+k")
    page.keyboard.type("vicun")
    expect(page.locator("#finder li mark").first).to_have_text("vicun", ignore_case=True)
    page.keyboard.type("aquilon")
    expect(page.locator("#finder .count")).to_have_text("Nothing found.")
    expect(page.locator("#finder .count")).to_be_in_viewport()
    page.keyboard.press("Escape")

    entry.locator("[data-more]").click()
    with page.expect_download() as download:
        page.click("text=Export as JSON")
    assert download.value.suggested_filename == "Vicunas.json"
    saved = json.loads(Path(download.value.path()).read_text())
    said = [message["text"] for message in saved["messages"]]
    assert said == ["Where do vicunas live?", "High up."]

    entry.locator("[data-more]").click()
    page.click("#talk-menu >> text=Delete")
    expect(page.locator(".toast")).to_have_text("“Vicunas” is deleted. Undo")
    page.wait_for_url(home.address + "/")
    page.goto(home.address)
    assert page.locator(f"[data-talk={talk}]").count() == 0
    assert watch.complaints == []


LONG = "\n\n".join(f"Paragraph {n} of a long answer." for n in range(40))


def test_what_was_found_is_shown_where_it_stands_on_whatever_branch(
    home: Home, context: BrowserContext
) -> None:
    talk = home.talk("First question?", LONG, "Where do condors nest?", LONG, "And now?", LONG)
    records = home.house.assistant
    entries = records.messages.path(home.owner, talk).entries
    other = records.messages.say(home.owner, talk, entries[1].id, "Another way.")  # a new branch
    page = home.signed_in(context)
    page.goto(f"{home.address}/c/{talk}")
    page.wait_for_selector(f"#m-{other.id}")
    page.keyboard.press("Control+k")
    page.keyboard.type("condors nest")
    page.click("#finder li a:has(mark)")
    found = page.locator(".said:text-is('Where do condors nest?')")
    expect(found).to_be_in_viewport()
    expect(page.locator("#finder")).not_to_be_visible()


def test_another_version_leaves_the_eye_where_it_is(home: Home, context: BrowserContext) -> None:
    talk = home.talk("One?", LONG, "Two?", LONG)
    records = home.house.assistant
    first = records.messages.path(home.owner, talk).entries[0]
    second = records.messages.open_answer(home.owner, talk, first.id, model="smollm2")
    records.messages.finish(home.owner, second.id, "complete", LONG)
    page = home.signed_in(context)
    page.goto(f"{home.address}/c/{talk}")
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -200)
    page.click("[aria-label='Previous version']")
    page.wait_for_selector(".said:text-is('Two?')")
    expect(page.get_by_text("1 of 2")).to_be_in_viewport()


def test_lists_open_below_their_buttons_and_obey_the_keys(
    home: Home, context: BrowserContext
) -> None:
    page = home.signed_in(context)
    page.goto(home.address)
    button = page.locator("[popovertarget=presets]")
    button.focus()
    page.keyboard.press("Enter")
    menu, above = page.locator("#presets"), button.bounding_box()
    expect(menu.locator("input:focus")).to_have_count(1)
    place = menu.bounding_box()
    assert above
    assert place
    assert 0 <= place["y"] - (above["y"] + above["height"]) < 12
    assert abs(place["x"] - above["x"]) < 2
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(menu).not_to_be_visible()
    expect(button).to_contain_text("Editor")
    expect(page.locator("#composer textarea")).to_be_focused()


def test_what_could_not_be_sent_stands_in_the_field_again(
    home: Home, context: BrowserContext
) -> None:
    page = home.signed_in(context)
    page.goto(f"{home.address}/c/{home.talk('One?', 'First.')}")
    context.set_offline(True)
    page.fill("#composer textarea", "Are you there?")
    page.keyboard.press("Enter")
    expect(page.locator(".failed")).to_contain_text("does not answer")
    expect(page.locator("#composer textarea")).to_have_value("Are you there?")
    expect(page.locator(".said")).to_have_count(1)


def test_a_broken_answer_offers_another_try(home: Home, context: BrowserContext) -> None:
    talk = home.talk("One?", "First.")
    records = home.house.assistant
    answer = records.messages.path(home.owner, talk).entries[1]
    records.messages.finish(home.owner, answer.id, "broken", "Fir", error="It broke.")
    page = home.signed_in(context)
    page.goto(f"{home.address}/c/{talk}")
    with page.expect_request("**/web/turns") as asked:
        page.click("text=Try again")
    body = asked.value.post_data_json or {}
    assert (body["kind"], body["parent"]) == ("again", answer.parent_id)


@pytest.mark.parametrize("width", [375, 1280])
def test_no_page_scrolls_beside_its_own_scroll_area(
    home: Home, browser: Browser, width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 700}) as context:
        page = home.signed_in(context)
        for path in PAGES:
            page.goto(home.address + path)
            assert page.evaluate("document.documentElement.scrollHeight") <= 700, path
        expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=1)


def test_looks_are_kept(home: Home, context: BrowserContext) -> None:
    page = home.signed_in(context)
    page.goto(home.address + "/settings")
    page.check("input[value=dark]")
    page.check("input[value=large]")
    page.wait_for_selector("html[data-theme=dark][data-size=large]")
    page.goto(home.address + "/")
    assert page.locator("html[data-theme=dark][data-size=large]").count() == 1


def test_a_key_is_made_in_the_browser_and_revoked(home: Home, context: BrowserContext) -> None:
    page = home.signed_in(context)
    page.goto(home.address + "/console/keys")
    page.fill("input[name=name]", "my program")
    page.click("text=Make a key")
    secret = page.locator(".secret code:text('puna_sk_')").first.inner_text()
    assert f"Bearer {secret}" in page.locator(".secret code:text('curl')").inner_text()
    assert home.house.keys.verify(secret).tenant_id == "owner"
    page.click("text=Done")
    page.click("[aria-label='Revoke: my program']")
    page.click("#sure >> text=Leave it")
    assert home.house.keys.list()[0].revoked_at is None
    page.click("[aria-label='Revoke: my program']")
    page.click("#sure >> text=Revoke")
    page.wait_for_selector(".tag.bad:text-is('revoked')")
    assert home.house.keys.list()[0].revoked_at


def test_files_are_attached_all_that_are_chosen(
    home: Home, context: BrowserContext, tmp_path: Path
) -> None:
    page = home.signed_in(context)
    page.goto(home.address)
    (tmp_path / "ichu.md").write_text("# Ichu\n\nIchu is a grass.\n")
    (tmp_path / "quinoa.md").write_text("Quinoa is a seed.\n")
    page.set_input_files("input[type=file]", [tmp_path / "ichu.md", tmp_path / "quinoa.md"])
    page.wait_for_selector(".chips .name:text-is('ichu.md')")
    page.wait_for_selector(".chips .name:text-is('quinoa.md')")
    (tmp_path / "x.bin").write_bytes(b"\0\1\2")
    page.set_input_files("input[type=file]", tmp_path / "x.bin")
    expect(page.locator(".toast")).to_contain_text("cannot be read")
    assert page.locator(".chips li").count() == 2


def test_memory_is_seen_edited_and_switched_off(home: Home, context: BrowserContext) -> None:
    page = home.signed_in(context)
    page.goto(home.address + "/memory")
    page.fill("#text", "I keep llamas")
    page.click("button:text-is('Remember')")
    fact = page.locator("textarea:text-is('I keep llamas')")
    fact.fill("I keep alpacas")
    with page.expect_response("**/web/memory/*"):
        page.keyboard.press("Tab")
    with page.expect_response("**/web/memory/enabled"):
        page.uncheck("input[name=enabled]")
    memory = home.house.assistant.memory
    assert "I keep alpacas" in [entry.text for entry in memory.list(home.owner)]
    assert not memory.is_enabled(home.owner)


def test_a_phone_shows_everything_within_its_width(home: Home, browser: Browser) -> None:
    rows = ["| a " * 6, "|---" * 6, "| wideword " * 6]
    talk = home.talk("Wide?", "|\n".join([*rows, ""]))
    with browser.new_context(viewport={"width": 375, "height": 700}, has_touch=True) as context:
        page = home.signed_in(context)
        for path in [f"/c/{talk}", *PAGES]:
            page.goto(home.address + path)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 375, (path, wide)
        page.goto(home.address)
        opener = page.get_by_role("button", name="Open the sidebar")
        expect(opener).to_have_attribute("aria-expanded", "false")
        opener.click()
        expect(opener).to_have_attribute("aria-expanded", "true")
        expect(page.locator(".side").get_by_role("link", name="Settings")).to_be_in_viewport()


def test_what_was_exported_is_brought_back(
    home: Home, context: BrowserContext, tmp_path: Path
) -> None:
    home.talk("Where do flamingos stand?", "In salt lakes.")
    page = home.signed_in(context)
    page.goto(home.address + "/settings")
    with page.expect_download() as download:
        page.click("text=Export everything")
    download.value.save_as(tmp_path / "puna.zip")
    records = home.house.assistant
    before = len(records.conversations.list(home.owner, limit=1000))
    records.conversations.delete_all(home.owner)
    page.set_input_files("input[type=file]", tmp_path / "puna.zip")
    expect(page.locator(".toast")).to_contain_text("here again")
    assert len(records.conversations.list(home.owner, limit=1000)) == before
    assert records.finding.find(home.owner, "flamingos stand")
    (tmp_path / "shopping.txt").write_text("bread, milk")
    page.set_input_files("input[type=file]", tmp_path / "shopping.txt")
    expect(page.locator(".toast")).to_contain_text("cannot be brought in")
