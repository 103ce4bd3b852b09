"""Hostile texts, wherever foreign text lands, in a real Chromium: nothing runs or calls home."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from puna.accounts.schema import new_id, utc_now
from puna.services.assistant.files import FileRow
from tests.server.web.browser import Watch
from tests.server.web.home import PAGES, Home, at_home
from tests.server.web.payloads import PAYLOADS


def poison(home: Home, payloads: list[str]) -> list[str]:
    """Put hostile texts wherever foreign text lands; returns the conversations to look at."""
    house, owner, records = home.house, home.owner, home.house.assistant
    talks = []
    for at in range(0, len(payloads), 100):
        part = payloads[at : at + 100]
        said = [text for payload in part for text in (payload, payload)]
        talks.append(home.talk(*said, title=part[0][:200].replace("\n", " ") or "x"))
    for payload in payloads:
        records.memory.add(owner, payload)
    for payload in payloads[:100]:
        records.memory.propose(owner, f"? {payload}")
    for at, payload in enumerate(payloads[:100]):
        line = "".join(c for c in " ".join(payload.split()) if c.isprintable())
        records.presets.create(owner, line[:80], payload)
        house.keys.create(line[:200])
        house.tenants.create(f"{line[:180]} {at}".strip())
    for at, payload in enumerate(payloads[:3]):
        records.servers.add(f"hostile-{at}", command=[payload])  # its failure quotes it
    for at, payload in enumerate(payloads[:60]):
        name = payload.replace("/", "_").replace("\\", "_") + ".md"
        keep_file(home, name[-190:], f"{payload} {at}")
    source = [
        {"number": n + 1, "file_id": "", **dict.fromkeys(("name", "text", "quote", "where"), p)}
        for n, p in enumerate(payloads[:30])
    ]
    fields = ("id", "name", "arguments", "result")
    steps = [{"text": "", "calls": [dict.fromkeys(fields, p) for p in payloads[:60]]}]
    conversation = records.conversations.create(owner, title="sources")
    said_id = records.messages.say(owner, conversation.id, None, "x").id
    answer = records.messages.open_answer(owner, conversation.id, said_id, model="m")
    marks = " ".join(f"[{n}]" for n in range(1, 31))
    records.messages.finish(
        owner, answer.id, "broken", marks, steps=steps, sources=source, error=payloads[0]
    )
    return [*talks, conversation.id]


def keep_file(home: Home, name: str, text: str) -> None:
    """Keep a file as if it had been read: its name is what lands on the pages."""
    data = text.encode()
    with home.house.assistant.store.write() as session:
        row = FileRow(
            id=new_id("fil"),
            tenant_id=home.owner.tenant_id,
            user_id=home.owner.user_id,
            name=name,
            media_type="text/markdown",
            n_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content=data,
            pages=0,
            passages=0,
            words=len(text.split()),
            created_at=utc_now(),
        )
        session.add(row)


@pytest.fixture(scope="module")
def poisoned() -> Iterator[tuple[Home, list[str]]]:
    """Another home, full of hostile texts."""
    with at_home() as home:
        with home.house.assistant.store.write():  # hundreds of commits at once
            talks = poison(home, PAYLOADS)
        yield home, talks


@pytest.mark.parametrize("bypass_csp", [True, False], ids=["without a policy", "with the policy"])
def test_no_foreign_text_runs_or_calls_home_anywhere(
    browser: Browser, poisoned: tuple[Home, list[str]], bypass_csp: bool
) -> None:
    (home, talks), address = poisoned, poisoned[0].address
    with browser.new_context(bypass_csp=bypass_csp) as context:
        page = home.signed_in(context)
        watch = Watch(page)
        for path in [*(f"/c/{talk}" for talk in talks), *PAGES]:
            page.goto(address + path)
            page.wait_for_timeout(120)
            assert watch.executions == 0, path
        page.goto(f"{address}/c/{talks[-1]}")
        for button in page.locator(".sources button").all()[:10]:
            button.click()
            page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        page.keyboard.type("img")
        page.wait_for_selector("#finder ol li")
        assert watch.executions == 0
        assert watch.foreign(address) == []
        assert watch.complaints == []
