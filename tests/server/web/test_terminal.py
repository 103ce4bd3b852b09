"""What is said in the terminal stands on the page, and what is said on the page in the terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.calling import Calling
from tests.cli.screen import CTRL_C
from tests.cli.serving import OWNER, STEADY, Server, chatting, owned, serving

SMALL = Path(__file__).parents[2] / "services/assistant/tools/small_server.py"
CALL = ('{"name": "small__add", "parameters": ', '{"left": 2, "right": 3}', "}")
ANSWER = ("It", " is", " five", ".")
STORY = "Write a very long story in many chapters about a llama who crosses the Andes."


def entered(page: Page, server: Server) -> Page:
    """The page of the owner, who signs in with a password."""
    page.goto(f"{server.url}/login")
    page.fill("#email", OWNER["email"])
    page.fill("#password", OWNER["password"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#composer")
    return page


@pytest.mark.default_model
def test_terminal_and_page_are_the_same_conversation(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server, browser.new_context() as context:
        page = entered(context.new_page(), server)
        with chatting(server.home, *STEADY) as chat:
            chat.enter("Who wrote Hamlet?")
            page.reload()
            page.click("text=Who wrote Hamlet?")
            expect(page.locator(".message.assistant .prose")).to_have_count(1)
            answer = page.locator(".message.assistant .prose").inner_text()
            assert answer.split() == server.latest()["messages"][-1]["text"].split()

            page.fill("#composer textarea", "Name three colours.")
            page.keyboard.press("Enter")
            expect(page.locator(".message.assistant .prose")).to_have_count(2)
            expect(page.locator(".message.live")).to_have_count(0)
            shown = chat.enter("And an animal.")
            assert shown.startswith("said elsewhere meanwhile:\n> Name three colours.\n")

        with chatting(server.home, "--continue", "--temperature", "0") as longer:
            longer.enter(STORY, then=".{40}")
            page.reload()  # the answer that the terminal is hearing grows on the page, too
            expect(page.locator(".message.live")).to_have_count(1)
            longer.screen.press(CTRL_C)
            expect(page.locator(".message.live")).to_have_count(0)
            expect(page.locator(".stopped").last).to_contain_text("Stopped.")
            longer.wait()
        asked = [one["text"] for one in server.latest()["messages"] if one["role"] == "user"]
        assert asked == ["Who wrote Hamlet?", "Name three colours.", "And an animal.", STORY]


def allow_adding(page: Page, server: Server) -> None:
    """What the owner does once: add a tool server, look at its tools, allow one."""
    page.goto(f"{server.url}/console/tools")
    page.fill("#name", "small")
    page.fill("#command", shlex.join([sys.executable, str(SMALL)]))
    page.click("button:text-is('Add')")
    card = page.locator("[data-server=small]")
    card.locator(".tool", has_text="Add two numbers.").locator("input").check()
    with page.expect_event("load"):
        card.get_by_role("button", name="Allow what is ticked").click()
    expect(page.locator("[data-server=small] input:checked")).to_have_count(1)


def test_a_tool_that_a_model_calls_is_told_in_the_terminal_and_on_the_page(
    browser: Browser, tmp_path: Path
) -> None:
    """The server, its engine, the tool's program and the terminal are processes of their own.

    The model is a Llama whose weights were set by hand: it calls, and having heard, answers.
    """
    home = tmp_path / "home"
    Calling(CALL, ANSWER).write(home / "models/calling/calling.gguf")
    with owned(Server(home, "calling")) as server, browser.new_context() as context:
        page = entered(context.new_page(), server)
        allow_adding(page, server)
        with chatting(home) as chat:
            shown = chat.enter("What is two and three?")
            assert "  small: add(left: 2, right: 3) → 5\nIt is five.\n" in shown
            assert "It is five." in chat.enter("Are you sure?")
        with chatting(home, "--continue") as later:
            assert "small: add(left: 2, right: 3) → 5" in later.greeting
        page.goto(server.url)
        page.click("text=What is two and three?")
        note = page.locator("details.tool")
        expect(note).to_contain_text("small: add")
        expect(note).to_contain_text("answer: 5")
        expect(page.locator(".message.assistant .prose")).to_have_text(["It is five."] * 2)
