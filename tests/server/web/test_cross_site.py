"""A foreign page in the owner's own browser: nothing that it sends changes anything.

It stands on another port of the same machine, so that even strict cookies travel with what it
sends: the hardest case there is.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from puna.server.web.site import routes
from tests.server.web.browser import served
from tests.server.web.home import Home, at_home

KINDS = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
FETCH = """async ([url, method, mode, type]) => {
  const body = method === "GET" ? undefined : new Blob(['{"title":"taken","text":"x"}'], { type });
  try {
    const answer = await fetch(url, { method, mode, body, credentials: "include" });
    return answer.type === "opaque" ? "opaque" : `read ${answer.status}`;
  } catch { return "refused"; }
}"""
FORM = """([url, enctype]) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.name = `into${Math.random()}`;
  const form = document.createElement("form");
  Object.assign(form, { action: url, method: "post", enctype, target: frame.name });
  const field = document.createElement("input");
  Object.assign(field, { name: '{"text":"x","title":"', value: 'taken"}' });
  form.append(field);
  document.body.append(frame, form);
  form.submit();
  frame.addEventListener("load", () => done());
})"""


def foreign_page(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>evil</title><body>Win a prize!</body>")


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        home.talk("Is this private?", "Yes.")
        home.house.assistant.memory.add(home.owner, "I keep llamas")
        yield home


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    with served(Starlette(routes=[Route("/", foreign_page)])) as address:
        yield address


@pytest.fixture
def context(browser: Browser, home: Home) -> Iterator[BrowserContext]:
    """A browser in which the owner is signed in."""
    with browser.new_context() as context:
        page = home.signed_in(context)
        assert page.goto(f"{home.address}/memory")
        assert "I keep llamas" in page.content()
        yield context


def kept(home: Home) -> list[str]:
    """Everything in the database but when sessions were last seen."""
    connection = home.house.assistant.store.engine.raw_connection()
    try:
        lines: list[str] = list(connection.iterdump())
    finally:
        connection.close()
    return [line for line in lines if 'INTO "sessions"' not in line]


def deeds(home: Home) -> Iterator[tuple[str, str]]:
    """Every address with a method that changes something, with real ids where it has any."""
    talk = home.house.assistant.conversations.list(home.owner)[0].id
    fact = home.house.assistant.memory.list(home.owner)[0].id
    ids = {"{conversation}": talk, "{memory}": fact, "{user}": home.user_id}
    for route in routes():
        assert isinstance(route, Route)
        path = route.path.replace(":path}", "}")
        for name, value in ids.items():
            path = path.replace(name, value)
        for method in (route.methods or set()) - {"GET", "HEAD"}:
            yield method, f"{home.address}{path}"


def test_no_request_of_a_foreign_page_changes_or_reads_anything(
    context: BrowserContext, home: Home, foreign: str
) -> None:
    before = kept(home)
    page = context.new_page()
    page.goto(foreign)
    addresses = list(deeds(home))
    assert len(addresses) > 30
    for method, url in addresses:
        for kind in [*KINDS, "application/json"]:
            assert page.evaluate(FETCH, [url, method, "cors", kind]) == "refused", (method, url)
            if method == "POST":
                assert page.evaluate(FETCH, [url, method, "no-cors", kind]) in ("opaque", "refused")
    for path in ("/", "/memory", "/web/conversations", "/web/export.json", "/console/keys"):
        assert page.evaluate(FETCH, [home.address + path, "GET", "cors", ""]) == "refused"
    assert kept(home) == before


def test_no_form_of_a_foreign_page_changes_anything(
    context: BrowserContext, home: Home, foreign: str
) -> None:
    before = kept(home)
    page = context.new_page()
    page.goto(foreign)
    for method, url in deeds(home):
        if method == "POST":
            page.evaluate(FORM, [url, KINDS[2]])
    for kind in KINDS[:2]:
        page.evaluate(FORM, [f"{home.address}/web/memory", kind])
        page.evaluate(FORM, [f"{home.address}/web/logout", kind])
    assert kept(home) == before
    mine = context.pages[0]
    mine.reload()
    assert "I keep llamas" in mine.content()  # still signed in


def test_the_page_cannot_be_framed(context: BrowserContext, home: Home, foreign: str) -> None:
    page = context.new_page()
    page.goto(foreign)
    page.evaluate(
        """(url) => new Promise((done) => {
          const frame = document.createElement("iframe");
          frame.addEventListener("load", () => done());
          frame.src = url;
          document.body.append(frame);
        })""",
        f"{home.address}/memory",
    )
    assert all("llamas" not in frame.content() for frame in page.frames)


def test_a_name_that_came_to_point_here_gets_nothing(browser: Browser, home: Home) -> None:
    """DNS rebinding: the browser believes that it still talks with evil.example."""
    port = home.address.rpartition(":")[2]
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    rebound = browser.browser_type.launch(
        executable_path="/usr/bin/chromium", args=["--no-sandbox", rules]
    )
    try:
        page = rebound.new_page()
        answer = page.goto(f"http://evil.example:{port}/login")
        assert answer is not None
        assert answer.status == 421
        same_origin = "() => fetch('/web/conversations').then(() => 'heard', () => 'refused')"
        assert page.evaluate(same_origin) == "refused"
    finally:
        rebound.close()
