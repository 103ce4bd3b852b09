"""Nobody gets in without a key, and no tenant gets at another's cache or secrets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from puna.accounts import Plan, Plans, Tenants, utc_now
from puna.server.app import ROUTERS
from tests.server.serving import MODEL, Served

OPEN = {  # reviewed: what each says to a stranger
    ("GET", "/health"): 200,  # only whether the server can answer
    ("POST", "/webhooks/payments"): 404,  # payments are off here; a signature is its key
}
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
    either: Served, method: str, path: str
) -> None:
    keys = either.services.keys
    revoked = keys.create("revoked")
    keys.revoke(revoked.key.id)
    expired = keys.create("expired", expires_at=utc_now() - timedelta(seconds=1))
    lacking = {"chat"} if path == "/v1/usage" else {"usage"}
    other_scope = keys.create("other scope", scopes=frozenset(lacking))
    strangers: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Basic {either.key}"},
        {"x-api-key": either.key},
        {"Cookie": f"puna_session={either.key}"},
        either.headers(revoked.secret),
        either.headers(expired.secret),
    ]
    if (method, path) in OPEN:
        assert ask(either, method, path, {}) == OPEN[method, path]
        return
    assert {ask(either, method, path, headers) for headers in strangers} == {401}
    assert ask(either, method, f"{path}?api_key={either.key}", {}) == 401
    assert ask(either, method, path, either.headers(other_scope.secret)) == 403


@pytest.mark.parametrize(
    "path", [path for method, path in ROUTES if method == "POST" and path.startswith("/v1/")]
)
def test_a_strangers_body_is_not_even_parsed(server: Served, path: str) -> None:
    """Whatever it is: without a key nothing is said of it."""
    json_ = {"Content-Type": "application/json"}
    for headers in (json_, {**json_, "Authorization": "Bearer nonsense"}):
        answer = httpx2.post(f"{server.url}{path}", content=b'{"model": ', headers=headers)
        assert answer.status_code == 401


def chat(server: Served, key: str, text: str) -> Any:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 2}
    url = f"{server.url}/v1/chat/completions"
    answer = httpx2.post(url, json=body, headers=server.headers(key), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def test_tenants_share_no_cached_prompt(server: Served) -> None:
    """Fifty prompts: whoever sent one finds it cached, nobody of another tenant does."""

    def cached(key: str, prompt: list[int]) -> int:
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 1}
        url = f"{server.url}/v1/completions"
        usage = httpx2.post(url, json=body, headers=server.headers(key)).json()["usage"]
        return int(usage["prompt_tokens_details"]["cached_tokens"])

    found: list[tuple[int, int]] = []
    for number in range(50):
        prompt = [5 + number, *range(5, 105)]  # no two begin alike
        assert cached(server.key, prompt) == 0
        found.append((cached(server.other_key, prompt), cached(server.key, prompt)))
    assert {others for others, _ in found} == {0}
    assert min(own for _, own in found) > 60


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


def test_a_revoked_key_is_refused_at_once_and_finishes_what_it_has_begun(server: Served) -> None:
    made = server.services.keys.create("to be revoked")
    headers, url = server.headers(made.secret), f"{server.url}/v1/chat/completions"
    body = {"model": MODEL, "messages": [{"role": "user", "content": "go on"}]}
    long = {**body, "max_tokens": 1000, "ignore_eos": True, "stream": True}
    with httpx2.Client(timeout=30) as client, client.stream("POST", url, json=long) as refused:
        assert refused.status_code == 401
    with (
        httpx2.Client(timeout=30, headers=headers) as client,
        client.stream("POST", url, json=long) as running,
    ):
        lines = running.iter_lines()
        next(lines)
        server.services.keys.revoke(made.key.id)
        assert httpx2.post(url, json=body, headers=headers).status_code == 401
        assert [line for line in lines if line][-1] == "data: [DONE]"
    assert server.charged()[-1].completion_tokens == 1000


def test_a_model_outside_the_plan_is_refused_and_not_shown(server: Served) -> None:
    store = server.services.store
    Plans(store).create(Plan("narrow", models=("another",)))
    tenant = Tenants(store).create("narrow", "narrow")
    headers = server.headers(server.services.keys.create("narrow", tenant.id).secret)
    dialog: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    asked: list[tuple[str, dict[str, object]]] = [
        ("/v1/chat/completions", dialog),
        ("/v1/chat/completions", {**dialog, "stream": True}),
        ("/v1/chat/completions/input_tokens", dialog),
        ("/v1/completions", {"model": MODEL, "prompt": "hi"}),
        ("/v1/responses", {"model": MODEL, "input": "hi"}),
        ("/v1/embeddings", {"model": MODEL, "input": "hi"}),
    ]
    already = len(server.charged())
    for path, body in asked:
        answer = httpx2.post(f"{server.url}{path}", json=body, headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["error"]["code"] == "forbidden"
    assert httpx2.get(f"{server.url}/v1/models", headers=headers).json()["data"] == []
    assert httpx2.get(f"{server.url}/v1/models/{MODEL}", headers=headers).status_code == 404
    assert (server.reserved(), len(server.charged())) == (0, already)
