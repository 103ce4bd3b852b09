"""A tenant reads what it used and paid, and nothing of another's."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from puna.accounts import Tenants, utc_now
from tests.server.serving import MODEL, Served


def rows(server: Served, secret: str, query: str = "") -> list[dict[str, Any]]:
    url = f"{server.url}/v1/usage{query}"
    answer = httpx2.get(url, headers=server.headers(secret))
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def test_a_tenant_sees_its_own_sums(either: Served) -> None:
    store, keys = either.services.store, either.services.keys
    tenant = Tenants(store).create("Spenders", "paid")
    either.services.ledger.credit(tenant.id, 5_000_000)
    till, shelf = (keys.create(name, tenant.id).secret for name in ("till", "shelf"))
    assert rows(either, till) == []
    body = {"model": MODEL, "prompt": "hello", "max_tokens": 3, "ignore_eos": True}
    told = []
    for secret in (till, till, shelf):
        url, headers = f"{either.url}/v1/completions", either.headers(secret)
        told.append(httpx2.post(url, json=body, headers=headers, timeout=60).json()["usage"])
    found = rows(either, shelf)
    assert [(row["key"], row["requests"]) for row in found] == [("shelf", 1), ("till", 2)]
    assert {row["model"] for row in found} == {MODEL}
    assert {row["day"] for row in found} == {f"{utc_now():%Y-%m-%d}"}
    [whole] = rows(either, till, "?by=model")
    assert "day" not in whole
    assert whole["completion_tokens"] == 9
    assert whole["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in told)
    spent = either.services.ledger.balance(tenant.id).spent_micros
    assert (whole["cost_micros"], whole["currency"]) == (spent, "USD")
    assert rows(either, till, "?until=2020-01-01") == []
    names = {row["key"] for row in rows(either, either.other_key)}
    assert not names & {"till", "shelf"}


@pytest.mark.parametrize("query", ["?since=yesterday", "?by=tenant", "?until=2026-13-01"])
def test_a_wrong_question_is_said(server: Served, query: str) -> None:
    answer = httpx2.get(f"{server.url}/v1/usage{query}", headers=server.headers())
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]
