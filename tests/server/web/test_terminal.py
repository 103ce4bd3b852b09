"""What is said in the terminal stands on the page, and what is said on the page in the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.screen import CTRL_C
from tests.cli.serving import OWNER, Server, chatting, serving

pytestmark = pytest.mark.default_model

STORY = "Write a very long story in many chapters about a llama who crosses the Andes."


def entered(page: Page, server: Server) -> Page:
    """The page of the owner, who signs in with a password."""
    page.goto(f"{server.url}/login")
    page.fill("#email", OWNER["email"])
    page.fill("#password", OWNER["password"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#composer")
    return page


def test_terminal_and_page_are_the_same_conversation(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server, browser.new_context() as context:
        page = entered(context.new_page(), server)
        with chatting(server.home, "--temperature", "0") as chat:
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

            chat.enter(STORY, then=".{40}")
            page.reload()  # the answer that the terminal is hearing grows on the page, too
            expect(page.locator(".message.live")).to_have_count(1)
            chat.screen.press(CTRL_C)
            expect(page.locator(".message.live")).to_have_count(0)
            expect(page.locator(".stopped")).to_have_text("Stopped.")
            chat.wait()
        asked = [one["text"] for one in server.latest()["messages"] if one["role"] == "user"]
        assert asked == ["Who wrote Hamlet?", "Name three colours.", "And an animal.", STORY]
