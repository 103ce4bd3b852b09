"""Nobody gets in without a key, and no tenant gets at another's cache or secrets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from puna.accounts import utc_now
from puna.server.app import ROUTERS
from tests.server.serving import MODEL, Served

OPEN = {("GET", "/health")}  # reviewed: says only whether the server can answer
ROUTES = sorted(
    (method, route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)


def ask(server: Served, method: str, path: str, headers: dict[str, str]) -> int:
    body: dict[str, str] | None = None if method == "GET" else {}
    url = f"{server.url}{path.replace('{model:path}', MODEL)}"
    return httpx2.request(method, url, json=body, headers=headers).status_code


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_is_closed_to_whoever_has_no_right_to_it(
    server: Served, method: str, path: str
) -> None:
    keys = server.services.keys
    revoked = keys.create("revoked")
    keys.revoke(revoked.key.id)
    expired = keys.create("expired", expires_at=utc_now() - timedelta(seconds=1))
    other_scope = keys.create("other scope", scopes=frozenset({"usage"}))
    strangers: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Basic {server.key}"},
        {"x-api-key": server.key},
        {"Cookie": f"puna_session={server.key}"},
        server.headers(revoked.secret),
        server.headers(expired.secret),
    ]
    if (method, path) in OPEN:
        assert ask(server, method, path, {}) == 200
        return
    assert {ask(server, method, path, headers) for headers in strangers} == {401}
    assert ask(server, method, f"{path}?api_key={server.key}", {}) == 401
    assert ask(server, method, path, server.headers(other_scope.secret)) == 403


def chat(server: Served, key: str, text: str) -> Any:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 2}
    url = f"{server.url}/v1/chat/completions"
    answer = httpx2.post(url, json=body, headers=server.headers(key), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def test_tenants_share_no_cached_prompt(server: Served) -> None:
    def cached(key: str) -> int:
        usage = chat(server, key, "a secret plan " * 12).json()["usage"]
        return int(usage["prompt_tokens_details"]["cached_tokens"])

    assert cached(server.key) < 40
    assert cached(server.other_key) < 40
    assert cached(server.key) > 40
    assert cached(server.other_key) > 40


def test_an_answer_says_what_its_caller_has_left(server: Served) -> None:
    before = server.services.ledger.balance(server.other_tenant)
    answer = chat(server, server.other_key, "hi")
    assert answer.headers["x-puna-balance"].endswith(" USD")
    assert answer.headers["x-request-id"]
    usage = answer.json()["usage"]
    details = usage["prompt_tokens_details"]["cached_tokens"]
    cost = (usage["prompt_tokens"] - details) + usage["completion_tokens"] * 4 + details / 4
    after = server.services.ledger.balance(server.other_tenant)
    assert 0 <= after.spent_micros - before.spent_micros - cost < 1
    assert after.reserved_micros == 0


def test_errors_and_metrics_hold_neither_prompts_nor_keys(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "CANARY-8c1f"
    chat(server, server.key, canary)
    bad = {"model": MODEL, "messages": [{"role": canary, "content": canary}]}
    refusal = httpx2.post(f"{server.url}/v1/chat/completions", json=bad, headers=server.headers())
    metrics = httpx2.get(f"{server.url}/metrics", headers=server.headers())
    assert metrics.status_code == 200
    assert "puna_tokens_predicted_total" in metrics.text
    for text in (refusal.text, metrics.text, caplog.text):
        assert canary not in text
        assert server.key not in text
        assert server.other_tenant not in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("DELETE", "/v1/models", 405), ("GET", "/v1/models/none", 404)],
)
def test_even_a_wrong_address_is_answered_in_openais_shape(
    server: Served, method: str, path: str, status: int
) -> None:
    answer = httpx2.request(method, f"{server.url}{path}", headers=server.headers())
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_foreign_host_name_and_a_huge_body_are_refused(server: Served) -> None:
    url = f"{server.url}/v1/models"
    assert httpx2.get(url, headers={"Host": "evil.example"}).status_code == 421
    huge = b"x" * (4 * 2**20 + 1)
    chat_url = f"{server.url}/v1/chat/completions"
    assert httpx2.post(chat_url, content=huge, headers=server.headers()).status_code == 413
    pieces = (b"x" * 65536 for _ in range(80))
    assert httpx2.post(chat_url, content=pieces, headers=server.headers()).status_code == 413
