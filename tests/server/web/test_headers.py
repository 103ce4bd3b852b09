"""Each answer of each address of the site has the headers that its kind must have, every one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from puna.server.web import assets
from puna.server.web.house import House
from puna.server.web.site import routes
from tests.server.web.house import new_house, owner, stranger

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
PAGE_POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "media-src 'self' blob:",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
}
DATA_POLICY = {"default-src 'none'", "frame-ancestors 'none'", "sandbox"}
FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return new_house(tmp_path_factory.mktemp("headers"))


@pytest.fixture(scope="module")
def client(house: House) -> TestClient:
    return owner(house)


def wrong(headers: Mapping[str, str], cache: str = "no-store", *, tls: bool = False) -> list[str]:
    """What is missing or too much; the kind of answer is what it says of itself."""
    page = headers.get("content-type", "").startswith("text/html")
    faults = [name for name, value in ALWAYS.items() if headers.get(name) != value]
    policy = set(headers.get("content-security-policy", "").split("; "))
    if policy != (PAGE_POLICY if page else DATA_POLICY):
        faults.append(f"policy {policy}")
    if headers.get("cache-control") != cache:
        faults.append(f"cache {headers.get('cache-control')}")
    if ("strict-transport-security" in headers) != tls:
        faults.append("transport")
    allowed = [name for name in headers if name.startswith("access-control-")]
    return [*faults, *allowed, *(["server"] if "server" in headers else [])]


def addresses() -> Iterator[tuple[str, str]]:
    """Every route with every method that it has."""
    for route in routes():
        assert isinstance(route, Route)
        path = route.path.replace(":path}", "}").replace("{format}", "json")
        for method in route.methods or set():
            yield method, path


@pytest.mark.parametrize("who", ["the owner", "a stranger"])
def test_every_address_answers_with_every_header(
    house: House, client: TestClient, who: str
) -> None:
    asking = client if who == "the owner" else stranger(house)
    faults = {}
    for method, path in sorted(addresses(), key=lambda one: "/logout" in one[1]):
        if "/logout" in path and who == "the owner":
            continue
        answer = asking.request(method, path)
        if found := wrong(answer.headers):
            faults[method, path, answer.status_code] = found
    assert faults == {}


def test_a_file_of_a_persons_is_kept_and_never_shown(client: TestClient) -> None:
    name = {"X-File-Name": "a%20%22b%22.html", "Content-Type": "application/octet-stream"}
    kept = client.post("/web/files", content=b"<script>hit()</script>hello", headers=name)
    answer = client.get(f"/web/files/{kept.json()['id']}/original")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert wrong(answer.headers) == []


def test_a_stream_a_table_an_export_and_a_refusal_have_them_too(client: TestClient) -> None:
    said = client.post("/web/turns", json={"kind": "say", "text": "Hello?", "model": "none"})
    assert said.headers["content-type"] == "application/x-ndjson"
    answers = [
        said,
        client.get("/console/usage.csv"),
        client.get("/web/export.json"),
        client.get("/", headers={"Host": "evil.example"}),
        client.post("/web/memory", json={"text": "x"}, headers={"X-Puna": ""}),
        client.post("/web/memory", json={"wrong": "x"}),
        client.get("/c/none"),
        client.get("/nowhere"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 421, 403, 400, 404, 404]
    assert [wrong(answer.headers) for answer in answers] == [[]] * len(answers)


def test_static_files_are_kept_for_ever(client: TestClient) -> None:
    for path in ("js/chat.js", "css/theme.css", "icons.svg"):
        assert wrong(client.get(assets.address(path)).headers, FOR_EVER) == []


def test_over_tls_every_page_says_to_stay_there(house: House) -> None:
    secure = stranger(house, "https://localhost")
    for path in ("/login", "/", "/web/conversations", "/nowhere"):
        assert wrong(secure.get(path).headers, tls=True) == [], path
