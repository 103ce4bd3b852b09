"""What a person does every day, in a real Chromium: nothing is lost, nothing stands in the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from puna.errors import NotFoundError
from puna.services.assistant.conversations import Conversations
from tests.server.web.browser import Watch, served
from tests.server.web.home import Home, at_home
from tests.server.web.house import OWNER, new_house, whole

PASTE = """([text, picture]) => {
  const data = new DataTransfer();
  if (text) data.setData("text/plain", text);
  if (picture) data.items.add(new File(["PNG"], "image.png", { type: "image/png" }));
  const event = { clipboardData: data, bubbles: true, cancelable: true };
  const paste = new ClipboardEvent("paste", event);
  return document.querySelector("#composer textarea").dispatchEvent(paste);
}"""
DRAG = """([kind, where]) => {
  const data = new DataTransfer();
  data.items.add(new File(["Quinoa is a seed."], "quinoa.md", { type: "text/markdown" }));
  const target = document.querySelector(where);
  const into = kind === "dragleave" ? document.querySelector(".main") : null;
  const event = { dataTransfer: data, bubbles: true, cancelable: true, relatedTarget: into };
  target.dispatchEvent(new DragEvent(kind, event));
}"""
AREA = "#composer textarea"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        yield home


@pytest.fixture
def page(browser: Browser, home: Home) -> Iterator[Page]:
    """The owner's page; whatever it does, no policy is broken and nobody else is asked."""
    with browser.new_context() as context:
        page = home.signed_in(context)
        watch = Watch(page)
        yield page
        assert watch.complaints == []
        assert watch.foreign(home.address) == []


def kept(home: Home, talk: str) -> bool:
    try:
        return bool(home.house.assistant.conversations.get(home.owner, talk))
    except NotFoundError:
        return False


def gone(home: Home, talk: str) -> bool:
    """Whether it is, within a while: nobody is told."""
    deadline = time.monotonic() + 10
    while kept(home, talk) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not kept(home, talk)


def delete(page: Page, talk: str) -> None:
    page.locator(f"[data-talk={talk}]").hover()
    page.locator(f"[data-more={talk}]").click()
    page.click("#talk-menu >> text=Delete")
    expect(page.locator(f"[data-talk={talk}]")).to_be_hidden()


def test_a_deletion_is_taken_back_in_time(home: Home, page: Page) -> None:
    talk, other = home.talk("Stay?", "Yes."), home.talk("Go?", "Yes.")
    page.goto(f"{home.address}/c/{other}")
    delete(page, talk)
    page.click(".toast >> text=Undo")
    expect(page.locator(f"[data-talk={talk}] a")).to_be_focused()
    assert kept(home, talk)
    delete(page, talk)
    page.goto(f"{home.address}/settings")  # who leaves cannot take it back any more
    assert gone(home, talk)
    assert kept(home, other)


def test_the_open_conversation_is_deleted_under_ones_eyes(home: Home, page: Page) -> None:
    talk = home.talk("Go?", "Yes.")
    page.goto(f"{home.address}/c/{talk}")
    delete(page, talk)
    expect(page.locator(".greeting")).to_be_visible()
    expect(page.locator(AREA)).to_be_focused()
    assert page.url == f"{home.address}/"
    page.click(".toast >> text=Undo")
    expect(page.locator(".prose")).to_have_text("Yes.")
    delete(page, talk)
    assert kept(home, talk)
    with page.expect_response(f"**/web/conversations/{talk}"):
        page.evaluate(PASTE, [None, True])  # another sentence takes the place of the offer
    assert not kept(home, talk)


def test_a_draft_survives_a_reload_with_its_files(home: Home, page: Page) -> None:
    page.goto(home.address)
    page.fill(AREA, "What is said here about ichu?")
    file = {"name": "ichu.md", "mimeType": "text/markdown", "buffer": b"Ichu is a grass."}
    page.set_input_files("input[type=file]", file)  # type: ignore[arg-type]
    page.wait_for_selector(".chips a.name:text-is('ichu.md'), .chips .name:text-is('ichu.md')")
    expect(page.locator(".chips .small")).to_have_count(0)  # it is read
    page.reload()
    expect(page.locator(AREA)).to_have_value("What is said here about ichu?")
    expect(page.locator(".chips .name")).to_have_text("ichu.md")
    expect(page.locator("[aria-label=Send]")).to_be_enabled()
    page.click("[aria-label='Remove ichu.md']")
    page.fill(AREA, "")
    page.reload()
    expect(page.locator(".chips li")).to_have_count(0)
    expect(page.locator(AREA)).to_have_value("")


def test_what_is_typed_before_the_script_is_there_stays(home: Home, page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/js/composer.js", hold)
    page.goto(home.address, wait_until="commit")
    page.fill(AREA, "Hello")
    page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    expect(page.locator("[aria-label=Send]")).to_be_enabled()
    expect(page.locator(AREA)).to_have_value("Hello")


def test_a_long_paste_is_a_file_unless_one_wants_it_in_the_message(home: Home, page: Page) -> None:
    page.goto(home.address)
    page.fill(AREA, "Read this: ")
    long = "All llamas graze on ichu. " * 300
    assert page.evaluate(PASTE, [long, None]) is False
    expect(page.locator(".chips .name")).to_have_text("pasted text.txt")
    expect(page.locator(".chips .small")).to_have_count(0)  # it is read
    expect(page.locator(AREA)).to_have_value("Read this: ")
    [file] = home.house.assistant.files.list(home.owner)[:1]
    assert home.house.assistant.files.content(home.owner, file.id).decode() == long
    page.click(".toast >> text=Put it into the message")
    expect(page.locator(".chips li")).to_have_count(0)
    expect(page.locator(AREA)).to_have_value(f"Read this: {long}")
    assert page.evaluate(PASTE, ["short", None]) is True  # the browser's own paste


def test_a_picture_is_refused_in_words_and_a_text_with_one_is_a_text(
    home: Home, page: Page
) -> None:
    page.goto(home.address)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.evaluate(PASTE, [None, True]) is False
    expect(page.locator(".toast")).to_contain_text("not pictures")
    expect(page.locator(".chips li")).to_have_count(0)
    assert page.evaluate(PASTE, ["a cell of a sheet", True]) is True
    assert not [url for url in asked if "/web/" in url]


def test_files_are_dropped_anywhere_on_the_conversation(home: Home, page: Page) -> None:
    page.goto(f"{home.address}/c/{home.talk('One?', 'First.')}")
    page.evaluate(DRAG, ["dragenter", ".prose"])
    page.evaluate(DRAG, ["dragleave", ".prose"])  # onto what stands beside it
    expect(page.locator(".composer.drop")).to_be_visible()
    page.evaluate(DRAG, ["drop", ".prose"])
    expect(page.locator(".composer.drop")).to_have_count(0)
    expect(page.locator(".chips .name")).to_have_text("quinoa.md")


def test_a_long_question_is_folded(home: Home, page: Page) -> None:
    text = "\n".join(f"Line {n} of what I have pasted." for n in range(60))
    page.goto(f"{home.address}/c/{home.talk(text, 'I see.', 'Short?', 'Yes.')}")
    said = page.locator(".said").first
    assert (said.bounding_box() or {"height": 999})["height"] < 300
    page.click("text=Show all")
    assert (said.bounding_box() or {"height": 0})["height"] > 900
    expect(page.locator("text=Show less")).to_have_attribute("aria-expanded", "true")
    page.click("text=Show less")
    expect(page.locator("text=Show all")).to_have_count(1)


def test_each_message_says_when_it_was(home: Home, page: Page) -> None:
    talk = home.talk("One?", "First.")
    page.goto(f"{home.address}/c/{talk}")
    times = page.locator(".message time").evaluate_all("(all) => all.map((t) => t.dateTime)")
    entries = home.house.assistant.messages.path(home.owner, talk).entries
    shown = [datetime.fromisoformat(time) for time in times]
    assert shown == [entry.created_at.replace(microsecond=0) for entry in entries]


def test_what_lies_further_back_is_reached(browser: Browser) -> None:
    """Two hundred and fifty conversations, of last week and of last year."""
    with at_home() as home, browser.new_context() as context:
        talk_for_long(home)
        page = home.signed_in(context)
        page.goto(home.address)
        expect(page.locator("[data-talk]")).to_have_count(100)
        page.click("text=Earlier ones")
        expect(page.locator("[data-talk]")).to_have_count(200)
        expect(page.locator("[data-talk] a").nth(100)).to_be_focused()
        page.click("text=Earlier ones")
        expect(page.locator("[data-talk]")).to_have_count(250)
        expect(page.locator("text=Earlier ones")).to_be_hidden()
        titles = page.locator("[data-talk] a").all_inner_texts()
        assert titles == [f"Talk {n}" for n in range(249, -1, -1)]
        assert page.locator(".talks h2").all_inner_texts() == ["The last week", "Earlier"]


def talk_for_long(home: Home) -> None:
    now, store = datetime.now(UTC), home.house.assistant.store
    with store.write():
        for n in range(250):
            when = now - timedelta(days=400 if n < 60 else 3, seconds=250 - n)
            Conversations(store, partial(datetime.fromtimestamp, when.timestamp(), UTC)).create(
                home.owner, title=f"Talk {n}"
            )


def test_what_one_types_lands_in_the_field(home: Home, page: Page) -> None:
    page.goto(f"{home.address}/c/{home.talk('One?', 'First.')}")
    page.locator(AREA).blur()
    page.keyboard.type("Hello")
    expect(page.locator(AREA)).to_have_value("Hello")


def test_copying_works_where_the_browser_offers_no_clipboard(home: Home, browser: Browser) -> None:
    """As over plain HTTP from another machine of the house."""
    code = "```py\nx = 1\n```"
    with browser.new_context(permissions=["clipboard-read"]) as context:
        page = home.signed_in(context)
        page.add_init_script(
            "window.read = navigator.clipboard.readText.bind(navigator.clipboard);"
            "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        )
        page.goto(f"{home.address}/c/{home.talk('Code?', code)}")
        page.click("[aria-label='Copy the answer']")
        assert page.evaluate("window.read()") == code
        expect(page.locator("[aria-label='Copy the answer']")).to_be_focused()
        page.click("figure.code button")
        assert page.evaluate("window.read()") == "x = 1"


def test_signing_in_leads_back_to_where_one_was(home: Home, browser: Browser) -> None:
    talk = home.talk("One?", "First.")
    with browser.new_context() as context:
        page = home.signed_in(context)
        page.goto(f"{home.address}/c/{talk}")
        context.clear_cookies()
        page.fill(AREA, "Still there?")
        page.keyboard.press("Enter")
        page.wait_for_url("**/login?next=*")
        page.fill("#email", OWNER["email"])
        page.fill("#password", OWNER["password"])
        page.click("button:text-is('Sign in')")
        page.wait_for_url(f"**/c/{talk}")
        expect(page.locator(AREA)).to_have_value("Still there?")
        for foreign in ("//evil.example", "https://evil.example", "/web/logout", "/c/../login"):
            context.clear_cookies()
            page.goto(f"{home.address}/login?next={foreign}")
            assert page.locator("form").get_attribute("data-next") == "/"


def test_credits_and_backups_are_kept_in_the_console(home: Home, page: Page) -> None:
    page.goto(f"{home.address}/console/credits")
    page.fill("[name=amount]", "25.50")
    page.fill("[name=note]", "by hand")
    page.click("button:text-is('Add')")
    page.wait_for_selector("td:text-is('by hand')")
    assert home.house.ledger.balance("owner").available_micros == 25_500_000
    with page.expect_download() as invoice:
        page.click("button:text-is('Download')")
    assert invoice.value.suggested_filename.startswith("invoice-owner-")
    page.goto(f"{home.address}/console/backups")
    page.click("text=Make a copy now")
    page.wait_for_selector("text=The last copy was made today.")
    with page.expect_download() as copy:
        page.click("td >> text=Download")
    assert copy.value.suggested_filename == home.house.backups.list()[0].name
    page.click("td >> text=Delete")
    page.click("#sure button:text-is('Delete')")
    page.wait_for_selector("text=No copy yet.")


def test_an_invitation_is_withdrawn_and_a_key_made_for_a_person(home: Home, page: Page) -> None:
    page.goto(f"{home.address}/console/users")
    page.click("text=Make a link")
    page.click("a:text-is('Done')")
    page.click("button:text-is('Withdraw')")
    page.click("#sure >> text=Withdraw")
    expect(page.locator("text=Invited, and not here yet")).to_have_count(0)
    assert home.house.links.pending() == []
    page.goto(f"{home.address}/console/keys")
    page.fill("[name=name]", "my terminal")
    page.select_option("[name=user]", label=OWNER["email"])
    page.click("text=Make a key")
    secret = page.locator(".secret code:text('puna_sk_')").first.inner_text()
    assert home.house.keys.verify(secret).user_id == home.user_id
    page.click("a:text-is('Done')")
    expect(page.locator("td[data-label=Whose]").first).to_have_text(OWNER["email"])


def test_a_new_chat_begins_with_the_model_of_the_last(
    browser: Browser, tiny_path: Path, tmp_path: Path
) -> None:
    for name in ("alpaca", "vicuna"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "tiny.gguf").symlink_to(tiny_path)
    house = new_house(tmp_path)
    with served(whole(house)) as address, browser.new_context() as context:
        home = Home(house, address)
        page = home.signed_in(context)
        page.goto(address)
        expect(page.locator("[popovertarget=models] .chosen")).to_have_text("alpaca")
        talk = home.talk("One?", "First.")
        page.goto(f"{address}/c/{talk}")
        page.click("[popovertarget=models]")
        with page.expect_response(f"**/web/conversations/{talk}"):
            page.click("#models >> text=vicuna")
        page.goto(address)
        expect(page.locator("[popovertarget=models] .chosen")).to_have_text("vicuna")
