"""Headers of every kind of answer; foreign hosts, foreign pages and forms are refused."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from puna.accounts import Caller
from puna.server import ServerSettings, guard
from puna.server.headers import ON_EVERY_ANSWER
from puna.server.web import assets
from puna.server.web.guard import Guard

OURS = {"X-Puna": "page", "Content-Type": "application/json"}


def page(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>x</title>")


def data(_: Request) -> Response:
    return JSONResponse({})


def stream(_: Request) -> Response:
    return StreamingResponse(iter([b"{}\n"]), media_type="application/x-ndjson")


def failing(_: Request) -> Response:
    return PlainTextResponse("no", 500)


SITE = Starlette(
    routes=[
        Route("/", page),
        Route("/data", data, methods=["GET", "POST"]),
        Route("/stream", stream),
        Route("/failing", failing),
        Route("/static/{version}/{path:path}", assets.static_file),
    ]
)


def guarded() -> ASGIApp:
    """The site behind both guards, as the application has it."""

    async def nothing(_: Caller) -> dict[str, str]:
        return {}

    return guard.Guard(Guard(SITE), ServerSettings(hosts=["localhost"]), nothing)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(guarded(), base_url="http://localhost")


@pytest.mark.parametrize(
    "path", ["/", "/data", "/stream", "/failing", "/none", assets.address("js/chat.js")]
)
def test_every_kind_of_answer_has_its_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in ON_EVERY_ANSWER.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert ("script-src 'self'" in policy) == (path == "/")
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["cache-control"] == (
        "no-store" if "static" not in path else assets.FOREVER
    )


def test_over_tls_the_browser_is_told_to_stay_there() -> None:
    client = TestClient(guarded(), base_url="https://localhost")
    assert client.get("/").headers["strict-transport-security"].startswith("max-age=31536000")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1", "localhost@evil"]
)
def test_a_foreign_host_is_misdirected(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 421


def test_our_own_page_may_change_things(client: TestClient) -> None:
    headers = {**OURS, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/data", content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {**OURS, "Origin": "http://evil.example"},
        {**OURS, "Origin": "null"},
        {**OURS, "Origin": "http://localhost:81"},
        {**OURS, "Sec-Fetch-Site": "cross-site"},
        {**OURS, "Sec-Fetch-Site": "same-site"},
        {**OURS, "Content-Type": "text/plain"},
        {**OURS, "Content-Type": "application/x-www-form-urlencoded"},
        {**OURS, "Content-Type": "multipart/form-data; boundary=x"},
    ],
)
def test_nobody_else_may(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/data", content=b"{}", headers=headers).status_code == 403
