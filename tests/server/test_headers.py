"""Every kind of answer of the whole application has the headers that its kind must have.

The addresses come from the application itself, each asked by whoever may and by whoever may not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from puna.accounts import Sessions, Users
from puna.server.app import ROUTERS
from puna.server.web.site import routes
from tests.server.serving import MODEL, Served
from tests.server.web.test_headers import ALWAYS, DATA_POLICY, PAGE_POLICY

API_POLICY = {"default-src 'none'", "frame-ancestors 'none'", "sandbox"}
KINDS = {  # what may be answered at all: a new kind has to be thought about
    "text/html; charset=utf-8",
    "application/json",
    "application/x-ndjson",
    "application/octet-stream",
    "application/zip",
    "text/event-stream; charset=utf-8",
    "text/csv; charset=utf-8",
    "text/markdown; charset=utf-8",
    "text/plain; version=1.0.0; charset=utf-8",
    "text/plain; charset=utf-8",
    "",
}
OPEN = ("/health", "/webhooks/payments")  # the second wants a signature, and is off here
SAID = [{"role": "user", "content": "hello"}]
EVENTS = {
    "/v1/chat/completions": {"messages": SAID, "max_tokens": 2},
    "/v1/completions": {"prompt": "hello", "max_tokens": 2},
    "/v1/responses": {"input": "hello", "max_output_tokens": 16},
}


def wrong(answer: httpx2.Response) -> list[str]:
    """What is missing or too much."""
    headers: Mapping[str, str] = answer.headers
    faults = [name for name, value in ALWAYS.items() if headers.get(name) != value]
    policy = set(headers.get("content-security-policy", "").split("; "))
    kind = headers.get("content-type", "")
    fit = [PAGE_POLICY] if kind.startswith("text/html") else [DATA_POLICY, API_POLICY]
    faults += [] if policy in fit else [f"policy {policy}"]
    faults += [] if headers.get("cache-control") == "no-store" else ["cache"]
    faults += [] if kind in KINDS else [f"kind {kind!r}"]
    never = ("access-control-", "server", "x-powered-by", "strict-transport-security")
    return [*faults, *(name for name in headers if name.startswith(never))]


def addresses() -> Iterator[tuple[str, str]]:
    """Every method of every address, of the API and of the pages."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, route.path) for method in route.methods or ())
    for route in routes():
        assert isinstance(route, Route)
        yield from ((method, route.path) for method in route.methods or ())


def filled(path: str) -> str:
    """An address with something in its places."""
    return path.replace("{model:path}", MODEL).replace(":path}", "}").replace("{format}", "md")


@pytest.fixture(scope="module")
def session(server: Served) -> str:
    store = server.services.store
    return Sessions(store).create(Users(store).create("head@example.org", "a long password").id)


@pytest.mark.parametrize("who", ["with a key", "signed in", "a stranger", "of a foreign page"])
def test_every_address_answers_with_every_header(server: Served, session: str, who: str) -> None:
    credentials = {
        "with a key": server.headers(),
        "signed in": {"Cookie": f"puna_session={session}", "X-Puna": "page"},
        "a stranger": {},
        "of a foreign page": {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    }
    faults: dict[tuple[str, str, int], list[str]] = {}
    with httpx2.Client(base_url=server.url, headers=credentials[who], timeout=60) as client:
        for method, path in sorted(set(addresses())):
            if path.endswith("/logout"):
                continue
            body: dict[str, str] | None = None if method in ("GET", "HEAD") else {}
            answer = client.request(method, filled(path), json=body)
            if found := wrong(answer):
                faults[method, path, answer.status_code] = found
    assert faults == {}


@pytest.mark.parametrize(("path", "body"), EVENTS.items(), ids=EVENTS)
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_and_a_stream_of_events_have_them(
    server: Served, path: str, body: dict[str, Any], stream: bool
) -> None:
    asked = {"model": MODEL, **body, "stream": stream}
    answer = httpx2.post(f"{server.url}{path}", json=asked, headers=server.headers(), timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream") == stream
    assert wrong(answer) == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("POST", "/v1/chat/completions", {"Host": "evil.example"}, 421),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/v1/nowhere", {}, 404),
        ("DELETE", "/v1/models", {}, 405),
    ],
)
def test_refusals_have_them(
    server: Served, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    headers = {**server.headers(), **headers} if "/v1" in path else headers
    answer = httpx2.request(method, server.url + path, headers=headers)
    assert answer.status_code == status
    assert wrong(answer) == []


def test_no_browser_may_be_told_that_a_foreign_page_may_ask(server: Served, session: str) -> None:
    """No address answers a foreign page's question beforehand, nor its cookie instead of a key."""
    foreign = {"Origin": "http://evil.example", "Cookie": f"puna_session={session}"}
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-puna"}
    with httpx2.Client(base_url=server.url, headers=foreign) as browser:
        for method, path in sorted(set(addresses())):
            answer = browser.options(filled(path), headers=wish)
            assert answer.status_code >= 400, (method, path)
            assert not [name for name in answer.headers if name.startswith("access-control")]
            if method in ("GET", "HEAD") or path in OPEN:
                continue
            plain = {"Content-Type": "text/plain"}
            sent = browser.request(method, filled(path), content=json.dumps({}), headers=plain)
            assert sent.status_code in (401, 403), (method, path, sent.status_code)
