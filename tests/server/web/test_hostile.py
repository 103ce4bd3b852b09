"""Hostile texts, wherever foreign text lands, in a real Chromium: nothing runs or calls home.

Which pages there are is read from the site's routes, and which texts from the database's tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from playwright.sync_api import Error as BrowserError
from sqlalchemy import select
from starlette.routing import Route as Address

from puna.server.web.site import routes
from tests.server.web.browser import Watch
from tests.server.web.home import Home
from tests.server.web.payloads import PAYLOADS
from tests.server.web.poisoned import FOREIGN, MARKS, poisoned, text_columns
from tests.server.web.told import Event, lines

# Columns whose texts Puna makes itself: ids, hashes, states, one of a few words.  Reviewed.
OURS = {
    f"{table}.{column}"
    for table, columns in {
        "tenants": "id plan_id",
        "users": "id tenant_id role password_hash",
        "keys": "id tenant_id user_id plan_id scopes",
        "plans": "id currency",
        "links": "tenant_id role",
        "sessions": "user_id",
        "meters": "id",
        "balances": "tenant_id currency",
        "checkouts": "id tenant_id provider currency",
        "entries": "tenant_id kind currency reference meter_id key_id user_id plan_id outcome"
        " claim",
        "reservations": "id tenant_id meter_id key_id user_id plan_id model currency holder claim",
        "idempotency": "tenant_id key holder claim",
        "responses": "id tenant_id items response holder",  # no page shows them
        "assistant_conversations": "id tenant_id user_id folded_title title_by preset_id leaf_id",
        "assistant_messages": "id conversation_id parent_id role outcome file_ids count holder",
        "assistant_files": "id tenant_id user_id conversation_id sha256 holder",
        "assistant_passages": "file_id place line_numbers",
        "assistant_presets": "id tenant_id user_id",
        "assistant_facts": "id tenant_id user_id state",
        "assistant_memory_switches": "tenant_id user_id",
        "assistant_tool_servers": "name",
        "assistant_tool_calls": "tenant_id user_id message_id outcome",
    }.items()
    for column in columns.split()
}
LIVE = 30  # payloads in one answer


@pytest.fixture(scope="module")
def hostile() -> Iterator[tuple[Home, list[str]]]:
    with poisoned() as filled:
        yield filled


def test_every_column_with_a_foreign_text_is_hostile_here(hostile: tuple[Home, list[str]]) -> None:
    """A new column is poisoned, or is looked at and found to hold nothing of a stranger's."""
    store, clean = hostile[0].house.assistant.store, set()
    with store.read() as session:
        for column in text_columns():
            texts = session.scalars(select(column))
            if not any(mark in json.dumps(text) for text in texts for mark in MARKS):
                clean.add(f"{column.table.name}.{column.name}")
    assert clean - OURS == set()
    assert not OURS & FOREIGN.keys()


def pages(home: Home, talks: list[str]) -> Iterator[str]:
    """Every address that a browser can open."""
    tenant = home.house.tenants.list()[-1].id
    file = home.house.assistant.files.list(home.owner)[0].id
    month = home.house.history.latest(limit=1)[0].at.strftime("%Y-%m")
    for route in routes():
        assert isinstance(route, Address)
        path = route.path.replace("{file}", file).replace("{format}", "json")
        if "GET" not in (route.methods or ()) or path.startswith("/static"):
            continue
        if path.startswith("/console/invoice"):
            path += f"?tenant={tenant}&month={month}"
        for talk in talks if "{conversation}" in path else talks[:1]:
            yield path.replace("{conversation}", talk)
    for payload in PAYLOADS[::10]:
        yield f"/{payload.encode().hex()}?{payload}#{payload}"
        yield f"/login?next={payload}"


def opened(page: Page, address: str, folder: Path) -> None:
    """Look at a page; what is given as a file is opened as whoever keeps it would."""
    try:
        page.goto(address)
    except BrowserError as error:
        if "Download is starting" not in str(error):
            raise
        kept = page.request.get(address)
        kind = "html" if "html" in kept.headers["content-type"] else "txt"
        (folder / f"kept.{kind}").write_bytes(kept.body())
        page.goto((folder / f"kept.{kind}").as_uri())
    expect(page.locator(".message:empty")).to_have_count(0)  # they are drawn one after the other
    page.wait_for_timeout(60)


@pytest.mark.timeout(300)  # it looks at every page
@pytest.mark.parametrize("bypass_csp", [True, False], ids=["without a policy", "with the policy"])
def test_no_foreign_text_runs_or_calls_home_on_any_page(
    browser: Browser, hostile: tuple[Home, list[str]], bypass_csp: bool, tmp_path: Path
) -> None:
    home, talks = hostile
    with browser.new_context(bypass_csp=bypass_csp) as context:
        page = home.signed_in(context)
        watch = Watch(page)
        for path in pages(home, talks):
            opened(page, home.address + path, tmp_path)
            assert watch.executions == 0, path
        page.goto(f"{home.address}/c/{talks[-1]}")
        for button in page.locator(".sources button").all()[:10]:
            button.click()
            page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        page.keyboard.type("img")
        page.wait_for_selector("#finder ol li")
        assert watch.executions == 0
        assert [url for url in watch.foreign(home.address) if not url.startswith("file:")] == []
        assert [said for said in watch.complaints if "404" not in said] == []


@pytest.mark.parametrize("payload", ["<img src=x onerror=hit()>", "<script>hit()</script>"])
def test_what_runs_or_calls_home_is_noticed(
    browser: Browser, hostile: tuple[Home, list[str]], payload: str
) -> None:
    """What the other tests rely on: the same texts on a page that lets them."""
    home = hostile[0]
    with browser.new_context(bypass_csp=True) as context:
        watch = Watch(context.new_page())
        watch.page.goto(f"{home.address}/login")
        watch.page.set_content(f"{payload}<img src=http://evil.invalid/x>")
        watch.page.wait_for_timeout(300)
        assert watch.executions == 1
        assert watch.foreign(home.address) == ["http://evil.invalid/x"]


def told(payloads: list[str]) -> str:
    """A running answer in which everything is hostile, as lines of JSON."""
    named = [dict.fromkeys(("id", "name", "label", "arguments", "result"), p) for p in payloads]
    cited = [
        {"number": n, "cited": True, **dict.fromkeys(("name", "where", "text", "quote"), p)}
        for n, p in enumerate(payloads, 1)
    ]
    talk = {"id": payloads[0], "title": payloads[0]}
    events: list[Event] = [
        {"type": "begin", "turn": payloads[0], "conversation": talk},
        *({"type": "loading", "model": p, "share": 0.5} for p in payloads),
        *({"type": "tool", "tool": {**tool, "done": True}} for tool in named),
        *({"type": "source", "source": source} for source in cited),
        *({"type": "text", "text": f"{p} [{n}]\n\n"} for n, p in enumerate(payloads, 1)),
        *({"type": "title", "conversation": {**talk, "title": p}} for p in payloads),
        {"type": "error", "error": {"message": payloads[-1], "link": f"/{payloads[-1]}"}},
    ]
    return lines(events)


@pytest.mark.parametrize("bypass_csp", [True, False], ids=["without a policy", "with the policy"])
def test_no_answer_under_way_and_no_refusal_runs_anything(
    browser: Browser, hostile: tuple[Home, list[str]], bypass_csp: bool
) -> None:
    """Whatever the server may say to the page's script: it shows it, and that is all."""
    home, spoken = hostile[0], iter(range(0, len(PAYLOADS), LIVE))

    def answer(route: Route) -> None:
        at = next(spoken)
        lines = told(PAYLOADS[at : at + LIVE])
        route.fulfill(body=lines, content_type="application/x-ndjson")

    def refuse(route: Route) -> None:
        wrong = {"message": PAYLOADS[7], "link": "/plan", "link_text": PAYLOADS[8]}
        route.fulfill(status=400, json={"error": wrong})

    with browser.new_context(bypass_csp=bypass_csp) as context:
        page = home.signed_in(context)
        watch = Watch(page)
        page.route("**/web/turns", answer)
        page.route("**/web/memory", refuse)
        page.route("**/web/files", refuse)
        for _ in range(0, len(PAYLOADS), LIVE):
            page.goto(home.address)
            page.fill("#composer textarea", "x")
            page.keyboard.press("Enter")
            page.wait_for_selector(".failed")
            page.locator("details.tool summary").first.click()
            assert watch.executions == 0
        page.set_input_files("input[type=file]", {"name": "x.md", "mimeType": "x", "buffer": b"x"})
        page.wait_for_selector(".toast")
        page.goto(f"{home.address}/memory")
        page.fill("#text", "x")
        page.click("button:text-is('Remember')")
        page.wait_for_selector(".toast, .wrong:not(:empty)")
        assert watch.executions == 0
        assert watch.foreign(home.address) == []
