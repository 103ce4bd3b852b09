"""Every answer to a key says what is left: rates as OpenAI's headers have them, and the balance."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import httpx2
import pytest

from puna.accounts import Plan, Plans, Price, Tenants
from puna.server.left import duration
from tests.server.serving import MODEL, Served
from tests.server.test_access import ROUTES

PRICE = Price(2_000_000, 1_000_000, 4_000_000)  # of a token: 2, 1 and 4 millionths
CREDITS = 50_000_000
RPM, TPM = 200, 30_000
SAID = [{"role": "user", "content": "hello there"}]
DIALOG = {"model": MODEL, "messages": SAID, "max_tokens": 3}
PROMPT = {"model": MODEL, "prompt": "hello there", "max_tokens": 3}
INPUT = {"model": MODEL, "input": "hello there"}
BILLED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": DIALOG,
    "/v1/completions": PROMPT,
    "/v1/embeddings": INPUT,
    "/v1/responses": {**INPUT, "max_output_tokens": 16},
}
FREE: dict[str, dict[str, Any]] = {
    "/v1/chat/completions/input_tokens": DIALOG,
    "/v1/responses/input_tokens": INPUT,
}
LISTED = ("/v1/models", "/v1/usage")
STREAMED = [path for path in BILLED if path != "/v1/embeddings"]
OF_RESPONSES = ("", "/input_items", "/cancel")  # what stands after a response's id
UNITS_S = {"ms": 1e-3, "s": 1.0}
NUMBERS = count(1)
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?([\d.]+)(ms|s)")


class Customer:
    """A tenant of a plan with every limit, and prices."""

    def __init__(self, server: Served, name: str, **terms: Any) -> None:
        self.server, store = server, server.services.store
        limits: dict[str, Any] = {
            "requests_per_minute": RPM,
            "tokens_per_minute": TPM,
            "prices": {"*": PRICE},
        }
        Plans(store).create(Plan(name, **(limits | terms)))
        tenant = Tenants(store).create(f"on {name}", name)
        server.services.ledger.credit(tenant.id, CREDITS)
        key = server.services.keys.create("key", tenant.id).secret
        self.http = httpx2.Client(base_url=server.url, headers=server.headers(key), timeout=60)

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        return self.http.post(path, json=body, headers=headers)


@pytest.fixture(scope="module")
def customer(server: Served) -> Iterator[Customer]:
    customer = Customer(server, "with-everything")
    yield customer
    customer.http.close()


@pytest.fixture
def spent(server: Served) -> Iterator[Customer]:
    """One whose minute has no request left."""
    customer = Customer(server, f"spent-{next(NUMBERS)}", requests_per_minute=1)
    assert customer.post("/v1/completions", PROMPT).status_code == 200
    yield customer
    customer.http.close()


def seconds(text: str) -> float:
    """Read a duration as Go writes it."""
    found = DURATION.fullmatch(text)
    assert found, text
    hours, minutes, rest, unit = found.groups()
    return (
        int(hours or 0) * 3600
        + int(minutes or 0) * 60
        + float(rest) / (1e3 if unit[0] == "m" else 1)
    )


def check(headers: Mapping[str, str], rpm: int = RPM) -> None:
    """All are there, and fit each other."""
    for what, limit in (("requests", rpm), ("tokens", TPM)):
        assert headers[f"x-ratelimit-limit-{what}"] == str(limit)
        remaining = int(headers[f"x-ratelimit-remaining-{what}"])
        assert 0 <= remaining <= limit
        missing_s = seconds(headers[f"x-ratelimit-reset-{what}"])
        assert (limit - remaining - 1) * 60 / limit <= missing_s + 0.01  # it counts whole ones
        assert missing_s <= (limit - remaining) * 60 / limit + 0.01
    assert 0 < balance_micros(headers) < CREDITS + 1


def balance_micros(headers: Mapping[str, str]) -> int:
    amount, currency = headers["x-puna-balance"].split()
    assert currency == "USD"
    return round(float(amount) * 1e6)


def test_every_route_is_thought_of() -> None:
    of_one = {f"/v1/responses/{{response_id}}{rest}" for rest in OF_RESPONSES}
    known = {*BILLED, *FREE, *of_one, *LISTED, "/v1/models/{model:path}"}
    assert known == {path for _, path in ROUTES if path.startswith("/v1/")}


@pytest.mark.parametrize("path", [*BILLED, *FREE])
def test_an_answer_and_a_refused_body_have_them(customer: Customer, path: str) -> None:
    answer = customer.post(path, (BILLED | FREE)[path])
    assert answer.status_code == 200, answer.text
    check(answer.headers)
    refused = customer.post(path, {"model": 7})
    assert refused.status_code == 400
    check(refused.headers)
    json_ = {"Content-Type": "application/json"}
    broken = customer.http.post(path, content=b'{"model": ', headers=json_)
    assert broken.status_code == 400
    check(broken.headers)
    nowhere = customer.post(path, {**(BILLED | FREE)[path], "model": "nobody-has-this"})
    assert nowhere.status_code == 404
    check(nowhere.headers)


@pytest.mark.parametrize("path", [*LISTED, f"/v1/models/{MODEL}"])
def test_what_is_listed_has_them(customer: Customer, path: str) -> None:
    answer = customer.http.get(path)
    assert answer.status_code == 200
    check(answer.headers)


def test_a_kept_response_and_a_missing_one_have_them(customer: Customer) -> None:
    kept = customer.post("/v1/responses", BILLED["/v1/responses"]).json()["id"]
    for name, statuses in ((kept, (200, 200, 400, 200)), ("resp_none", (404,) * 4)):
        path = f"/v1/responses/{name}"
        answers = [
            customer.http.get(path),
            customer.http.get(f"{path}/input_items"),
            customer.http.post(f"{path}/cancel"),
            customer.http.delete(path),
        ]
        assert tuple(answer.status_code for answer in answers) == statuses
        for answer in answers:
            check(answer.headers)


@pytest.mark.parametrize("path", BILLED)
def test_who_has_none_left_is_told_so(spent: Customer, path: str) -> None:
    refused = spent.post(path, BILLED[path])
    assert refused.status_code == 429, refused.text
    check(refused.headers, rpm=1)
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    reset_s = seconds(refused.headers["x-ratelimit-reset-requests"])
    assert 0 < reset_s <= 60
    assert abs(int(refused.headers["retry-after"]) - reset_s) <= 1


@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_has_them_with_its_reservation_taken_off(customer: Customer, path: str) -> None:
    before = balance_micros(customer.http.get("/v1/models").headers)
    answer = customer.post(path, {**BILLED[path], "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    check(answer.headers)
    told = balance_micros(answer.headers)
    customer.server.wait_idle()
    after = balance_micros(customer.http.get("/v1/models").headers)
    assert told <= after < before


@pytest.mark.parametrize(
    ("path", "stream"),
    [*((path, False) for path in BILLED), *((path, True) for path in STREAMED)],
)
def test_a_repeated_answer_has_them_and_takes_nothing(
    customer: Customer, path: str, stream: bool
) -> None:
    body, key = {**BILLED[path], "stream": stream}, {"Idempotency-Key": f"left-{path}-{stream}"}
    check(customer.post(path, body, **key).headers)
    customer.server.wait_idle()
    left = balance_micros(customer.http.get("/v1/models").headers)
    again = customer.post(path, body, **key)
    assert again.headers["idempotent-replayed"] == "true"
    check(again.headers)
    assert balance_micros(again.headers) == left


@pytest.mark.parametrize("path", BILLED)
def test_what_remains_falls_by_what_was_used(customer: Customer, path: str) -> None:
    began, before = time.monotonic(), customer.http.get("/v1/models").headers
    answer = customer.post(path, BILLED[path])
    after, used = answer.headers, answer.json()["usage"]
    refilled = (time.monotonic() - began) / 60
    for what, limit, taken in (("requests", RPM, 1), ("tokens", TPM, used["total_tokens"])):
        name = f"x-ratelimit-remaining-{what}"
        fell = int(before[name]) - int(after[name])
        assert taken - refilled * limit - 1 <= fell <= taken + 1
    cost = balance_micros(before) - balance_micros(after)
    entry = customer.server.latest_charge()
    assert cost == -entry.amount_micros
    assert cost > 0
    assert used["total_tokens"] == entry.prompt_tokens + entry.completion_tokens


def test_what_has_no_limit_and_no_price_has_no_header(server: Served) -> None:
    free = Customer(
        server, "nothing-counted", requests_per_minute=None, tokens_per_minute=None, prices={}
    )
    answer = free.post("/v1/completions", PROMPT)
    free.http.close()
    assert answer.status_code == 200
    names = [name for name in answer.headers if name.startswith(("x-ratelimit-", "x-puna-"))]
    assert names == []


@pytest.mark.parametrize(
    ("spent_s", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.12, "120ms"),
        (1, "1s"),
        (59.9996, "1m0s"),
        (90.951, "1m30.951s"),
        (3661.5, "1h1m1.5s"),
        (86_400, "24h0m0s"),
    ],
)
def test_a_duration_is_written_as_openai_does(spent_s: float, text: str) -> None:
    assert duration(spent_s) == text
