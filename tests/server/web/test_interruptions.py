"""A model that loads, a line that is cut, a Stop that comes early: nothing said is lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.llm import LLM
from puna.llm.models import Models
from tests.server.web.house import OWNER
from tests.server.web.line import line_to
from tests.server.web.talking import (
    COUNTING,
    FIRST_WORD,
    PATIENCE_MS,
    Server,
    answered,
    ask,
    stop,
    talking,
)

pytestmark = pytest.mark.default_model

AREA = "#composer textarea"


class Slow(Models):
    """Loads a third of a model at once, and the rest when it is told to."""

    go = threading.Event()

    def _opened(self, slot: object) -> LLM:
        slot.tell(30, 100)  # type: ignore[attr-defined]
        self.go.wait(PATIENCE_MS / 1000)
        return super()._opened(slot)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with talking(tmp_path_factory.mktemp("slow"), Slow) as server:
        yield server
        Slow.go.set()


@pytest.fixture(scope="module")
def page(browser: Browser, slow: Server) -> Iterator[Page]:
    with slow.visited(browser, slow.links.for_owner() or "", OWNER) as watch:
        yield watch.page


def test_loading_is_shown_and_can_be_stopped_and_then_goes_on(page: Page, slow: Server) -> None:
    page.fill(AREA, "Who wrote Hamlet?")
    page.keyboard.press("Enter")
    expect(page.locator(".waiting")).to_have_text("Loading smollm2, 30 %…")
    page.keyboard.press("Escape")
    expect(page.locator(AREA)).to_have_value("Who wrote Hamlet?")
    expect(page.locator(".message")).to_have_count(0)
    expect(page.locator(".greeting")).to_be_visible()
    assert page.url == f"{slow.address}/"
    page.keyboard.press("Enter")
    expect(page.locator(".waiting")).to_contain_text("Loading")
    Slow.go.set()
    page.wait_for_selector(FIRST_WORD)
    assert answered(page)
    expect(page.locator(".said")).to_have_text("Who wrote Hamlet?")


def test_a_stop_before_the_answer_has_a_name_stops_it(page: Page, slow: Server) -> None:
    page.goto(slow.address)
    page.fill(AREA, COUNTING)
    page.evaluate(
        """() => {
          document.querySelector("#composer").requestSubmit();
          document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
        }"""
    )
    expect(page.locator("body.answering")).to_have_count(0)
    stopped = page.locator(".stopped").count() == 1
    assert stopped or page.input_value(AREA) == COUNTING


def test_a_cut_line_is_found_again_and_the_answer_with_it(page: Page, slow: Server) -> None:
    with line_to(slow.address) as line:
        page.goto(f"http://127.0.0.1:{line.port}/")
        ask(page, COUNTING)
        line.cut()
        expect(page.locator(".failed")).to_contain_text("Looking for Puna again")
        page.fill(AREA, "And then?")
        line.mend()
        page.wait_for_selector(".message.live .prose:not(:empty)")
        expect(page.locator(AREA)).to_have_value("And then?")
        said = stop(page)
        assert re.match(r"\w", said)
        expect(page.locator(".failed")).to_have_count(0)
        expect(page.locator(".message")).to_have_count(2)
