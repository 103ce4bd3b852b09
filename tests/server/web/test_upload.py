"""Files arrive: large ones with their progress, too large ones with a clear word, memory flat."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from puna.accounts import Links, Sessions, Users
from tests.server.serving import Served, served
from tests.server.web.browser import Watch
from tests.server.web.house import OWNER
from tests.services.assistant.pdf import pdf

MIB = 2**20
LIMIT = 32 * MIB
COOKIE = "puna_session"


@dataclass(frozen=True)
class Entered:
    """A running server, and the owner's session there."""

    server: Served
    token: str

    def post(self, body: bytes | Iterator[bytes], name: str = "a.txt") -> httpx2.Response:
        headers = {
            "X-Puna": "page",
            "Content-Type": "application/octet-stream",
            "X-File-Name": name,
            "Cookie": f"{COOKIE}={self.token}",
        }
        return httpx2.post(
            f"{self.server.url}/web/files", content=body, headers=headers, timeout=60
        )


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Entered]:
    with served(tmp_path_factory.mktemp("upload"), tiny_path) as server:
        store = server.services.store
        links = Links(store, Users(store))
        user = links.accept(links.for_owner() or "", OWNER["email"], OWNER["password"])
        yield Entered(server, Sessions(store).create(user.id))


@pytest.fixture
def page(browser: Browser, entered: Entered) -> Iterator[Page]:
    cookie = {"name": COOKIE, "value": entered.token, "url": entered.server.url}
    with browser.new_context() as context:
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        watch = Watch(page)
        page.goto(entered.server.url)
        yield page
        assert watch.foreign(entered.server.url) == []


def scanned(n_bytes: int) -> bytes:
    """A PDF as scanners write it: a page of text, and a picture that outweighs it."""
    return pdf(["The rent is due on Mondays."], padding=n_bytes)


def test_a_pdf_of_many_megabytes_is_attached_with_its_progress(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "lease.pdf"
    path.write_bytes(scanned(20 * MIB))
    slowly(page, bytes_a_second=40 * MIB)
    page.evaluate(
        """() => {
          window.told = [];
          const chips = document.querySelector(".chips");
          const note = () => window.told.push(chips.querySelector(".small")?.textContent);
          new MutationObserver(note).observe(chips, { childList: true, subtree: true });
        }"""
    )
    page.set_input_files("input[type=file]", path)
    page.wait_for_selector(".chips .name:text-is('lease.pdf')")
    expect(page.locator(".chips .small")).to_have_count(0, timeout=30_000)
    told = page.evaluate("window.told")
    assert "reading…" in told
    assert any(one and one.endswith(" %") for one in told), told


def slowly(page: Page, bytes_a_second: int) -> None:
    """Let the browser's network be as slow as a real one."""
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions", {**conditions, "uploadThroughput": bytes_a_second}
    )


def test_what_is_too_large_is_refused_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "film.pdf"
    with path.open("wb") as film:
        film.truncate(LIMIT + 1)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.method))
    page.set_input_files("input[type=file]", path)
    expect(page.locator(".toast")).to_contain_text("a file may have 32 MiB here")
    assert page.locator(".chips li").count() == 0
    assert "POST" not in posts


@pytest.mark.parametrize("declared", [True, False])
def test_the_server_refuses_it_too(entered: Entered, declared: bool) -> None:
    parts = (bytes(MIB) for _ in range(40))
    body: bytes | Iterator[bytes] = b"x" * (LIMIT + 1) if declared else parts
    try:
        answer = entered.post(body)
    except httpx2.TransportError:
        return  # it hung up in the midst of what is too long, as it may
    assert answer.status_code == 413
    assert "32 MiB" in answer.json()["error"]["message"]


def test_other_bodies_stay_small(entered: Entered) -> None:
    headers = {"X-Puna": "page", "Content-Type": "application/json"}
    url = f"{entered.server.url}/web/memory"
    with suppress(httpx2.TransportError):  # it may hang up in the midst
        assert httpx2.post(url, content=b"x" * (5 * MIB), headers=headers).status_code == 413


def test_many_files_that_arrive_at_once_wait_on_the_disk(entered: Entered) -> None:
    """Twelve times 30 MiB, none of them whole: they would be 360 MiB in memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(12) as pool:
        connections = list(pool.map(lambda _: partly_sent(entered, 30 * MIB), range(12)))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    for connection in connections:
        connection.close()
    assert grown_kib < 150 * 1024


def partly_sent(entered: Entered, n_bytes: int) -> socket.socket:
    """Send all of a file but its last byte."""
    connection = socket.create_connection(("127.0.0.1", entered.server.port), timeout=60)
    head = (
        "POST /web/files HTTP/1.1\r\nHost: localhost\r\nX-Puna: page\r\nX-File-Name: a.txt\r\n"
        f"Content-Type: application/octet-stream\r\nCookie: {COOKIE}={entered.token}\r\n"
        f"Content-Length: {n_bytes}\r\n\r\n"
    )
    connection.sendall(head.encode())
    part = b"word " * 13_107
    for _ in range(n_bytes // len(part)):
        connection.sendall(part)
    return connection
