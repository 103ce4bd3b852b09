"""While somebody writes, the model reads what stands before it: the default model in Chromium."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from puna.errors import NotFoundError
from puna.server.tally import Tally
from puna.server.web.readings import Readings
from tests.server.web.house import OWNER
from tests.server.web.talking import FIRST_WORD, Server, stop, talking
from tests.services.assistant.story import ran

AREA = "#composer textarea"
QUESTION = 20  # tokens, with what the template puts around it
LATEST = "select prompt_tokens, cached_tokens from entries where kind = 'charge' order by number"


def read_ahead(page: Page) -> None:
    """Write the first letter, and wait until the engine has done what that asks of it."""
    with page.expect_response("**/web/turns/ahead") as answer:
        page.type(AREA, "W")
    assert answer.value.status == 204
    page.wait_for_timeout(1_500)


def unread(page: Page, server: Server, rest: str) -> int:
    """Send the question; returns how many tokens of its prompt were still to be read."""
    page.type(AREA, rest)
    page.keyboard.press("Enter")
    page.wait_for_selector(FIRST_WORD)
    stop(page)
    with server.store.engine.connect() as connection:
        prompt, cached = connection.exec_driver_sql(LATEST).all()[-1]
    return int(prompt - cached)


@pytest.mark.default_model
def test_the_first_letter_has_all_read_that_stands_before_the_question(
    browser: Browser, tmp_path: Path
) -> None:
    """The server is another one than that of the first answer: its engine remembers nothing."""
    with (
        talking(tmp_path) as server,
        server.visited(browser, server.links.for_owner() or "", OWNER) as watch,
    ):
        read_ahead(watch.page)
        assert 0 < unread(watch.page, server, "ho are you?") < QUESTION
        path = watch.page.url.removeprefix(server.address)
        cookies = watch.page.context.cookies()
    with talking(tmp_path) as server, browser.new_context() as context:
        context.add_cookies([{**cookies[0], "domain": "127.0.0.1"}])  # type: ignore[typeddict-item]
        page = context.new_page()
        page.goto(server.address + path)
        read_ahead(page)
        assert 0 < unread(page, server, "hy?") < QUESTION


def test_a_persons_readings_follow_one_another_with_rests_between() -> None:
    begun: list[float] = []

    async def read() -> None:
        begun.append(time.monotonic())
        await asyncio.sleep(0.2)

    async def story() -> None:
        readings, end = Readings(Tally()), time.monotonic() + 1.1
        while time.monotonic() < end:
            readings.begin("ann", read)
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)

    ran(story)
    assert 2 <= len(begun) <= 3
    assert all(later - earlier >= 0.4 for earlier, later in pairwise(begun))


def test_a_reading_that_fails_is_counted_and_stands_in_nobodys_way() -> None:
    tally = Tally()
    begun: list[int] = []

    async def read() -> None:
        begun.append(1)
        raise NotFoundError("there is no such conversation")

    async def fail() -> None:
        raise RuntimeError("our own mistake")

    async def story() -> None:
        readings = Readings(tally)
        for work in (read, fail, read):
            readings.begin("ann", work)
            await asyncio.sleep(0.05)

    ran(story)
    assert len(begun) == 2
    assert (
        tally.registry.get_sample_value("puna_background_failures_total", {"work": "reading ahead"})
        == 1
    )
