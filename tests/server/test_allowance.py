"""An answer of unstated length reserves a little, more as it grows, never more than there is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from puna.accounts import Ledger, Plan, Plans, Price, Tenants
from puna.server import ServerSettings
from tests.server.serving import MODEL, Served, served

CONTEXT = 2048
OPEN_END = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "go on"}],
    "ignore_eos": True,
}


@pytest.fixture(scope="module")
def frugal(tmp_path_factory: pytest.TempPathFactory, slow_path: Path) -> Iterator[Served]:
    """Reserves 96 tokens at a time."""
    limits = ServerSettings(MODEL, unstated_tokens=96)
    with served(tmp_path_factory.mktemp("frugal"), slow_path, limits, CONTEXT) as running:
        running.wait_ready()
        yield running


def key_on(server: Served, plan: Plan, credits_micros: int = 0) -> str:
    store = server.services.store
    Plans(store).create(plan)
    tenant = Tenants(store).create(f"on {plan.id}", plan.id)
    if credits_micros:
        server.services.ledger.credit(tenant.id, credits_micros)
    return server.services.keys.create("key", tenant.id).secret


def ask(server: Served, key: str, **more: object) -> Any:
    url = f"{server.url}/v1/chat/completions"
    body = {**OPEN_END, **more}
    answer = httpx2.post(url, json=body, headers=server.headers(key), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def test_an_answer_goes_on_to_the_contexts_end_while_there_is_budget(frugal: Served) -> None:
    answer = ask(frugal, frugal.other_key).json()
    assert answer["usage"]["total_tokens"] == CONTEXT
    assert answer["choices"][0]["finish_reason"] == "length"
    charged = frugal.charged()[-1]
    assert charged.completion_tokens == answer["usage"]["completion_tokens"]
    frugal.wait_idle()


class SlowLedger(Ledger):
    """A database whose commits take longer than the engine does for all that it was granted."""

    def extend(self, *extension: Any) -> None:
        time.sleep(0.3)
        super().extend(*extension)


def test_an_answer_waits_for_a_slow_database_instead_of_ending(
    tmp_path: Path, tiny_path: Path
) -> None:
    limits = ServerSettings(MODEL, unstated_tokens=96)
    with served(tmp_path, tiny_path, limits, 512) as server:
        server.wait_ready()
        server.desk.ledger = SlowLedger(server.services.store)
        answer = ask(server, server.other_key, n=2).json()
        assert answer["usage"]["completion_tokens"] == 2 * (512 - answer["usage"]["prompt_tokens"])
        server.wait_idle()


def test_the_plan_of_those_who_pay_nothing_takes_many_open_requests(frugal: Served) -> None:
    key = key_on(frugal, Plan("little", monthly_tokens=20_000, tokens_per_minute=20_000))
    left = ask(frugal, key, max_tokens=1).headers["x-ratelimit-remaining-monthly-tokens"]
    body, url = {**OPEN_END, "stream": True}, f"{frugal.url}/v1/chat/completions"
    headers = frugal.headers(key)
    with httpx2.Client() as client, client.stream("POST", url, json=body, headers=headers) as one:
        reserved = int(left) - int(one.headers["x-ratelimit-remaining-monthly-tokens"])
    assert 96 < reserved < 250  # the prompt and one step, not the context
    frugal.wait_idle()


@pytest.mark.parametrize("limit", ["month", "minute", "credits"])
def test_open_answers_side_by_side_end_where_the_budget_does(frugal: Served, limit: str) -> None:
    """Whatever runs out, the answers say "length", and not a token too many was made."""
    price = Price(1_000_000, 1_000_000, 1_000_000)  # a micro-unit a token
    plan = {
        "month": Plan("month", monthly_tokens=1000),
        "minute": Plan("minute", tokens_per_minute=1000),
        "credits": Plan("credits", prices={"*": price}),
    }[limit]
    key = key_on(frugal, plan, 1000)
    with ThreadPoolExecutor(3) as pool:
        answers = [one.json() for one in pool.map(lambda _: ask(frugal, key, n=2), range(3))]
    frugal.wait_idle()
    caller = frugal.services.keys.verify(key)
    used = sum(answer["usage"]["total_tokens"] for answer in answers)
    assert {choice["finish_reason"] for one in answers for choice in one["choices"]} == {"length"}
    refilled = 1000 if limit == "minute" else 0  # a minute's bucket fills while they speak
    assert 700 < used <= 1000 + refilled
    charged = [entry for entry in frugal.charged() if entry.tenant_id == caller.tenant_id]
    assert used == sum(entry.prompt_tokens + entry.completion_tokens for entry in charged)
    standing = frugal.services.ledger.standing(caller)
    if limit == "month":
        assert standing.rates.monthly_tokens.remaining == 1000 - used
    if limit == "credits":
        assert standing.balance.spent_micros == used
    assert standing.balance.reserved_micros == 0


@pytest.mark.parametrize("limit", ["month", "credits"])
def test_where_less_is_left_than_is_reserved_the_answer_is_shorter(
    frugal: Served, limit: str
) -> None:
    """And where not even 32 tokens are left, it is refused."""
    price = Price(2_000_000, 2_000_000, 1_000_000)  # a prompt's token costs two micro-units
    plan = {
        "month": Plan("last-of-month", monthly_tokens=80),
        "credits": Plan("last-credits", prices={"*": price}),
    }[limit]
    key = key_on(frugal, plan, 80)
    caller = frugal.services.keys.verify(key)
    first = ask(frugal, key).json()
    used = first["usage"]
    assert first["choices"][0]["finish_reason"] == "length"
    assert 32 <= used["completion_tokens"] < 80
    frugal.wait_idle()
    standing = frugal.services.ledger.standing(caller)
    if limit == "month":
        assert used["total_tokens"] == 80
        assert standing.rates.monthly_tokens.remaining == 0
    else:
        assert 2 * used["prompt_tokens"] + used["completion_tokens"] == 80
        assert standing.balance.available_micros == standing.balance.reserved_micros == 0
    url = f"{frugal.url}/v1/chat/completions"
    refused = httpx2.post(url, json=OPEN_END, headers=frugal.headers(key), timeout=60)
    assert refused.status_code in (402, 429)


def test_a_stated_length_is_reserved_whole_or_refused(frugal: Served) -> None:
    key = key_on(frugal, Plan("eighty", monthly_tokens=80))
    url, body = f"{frugal.url}/v1/chat/completions", {**OPEN_END, "max_tokens": 96}
    refused = httpx2.post(url, json=body, headers=frugal.headers(key), timeout=60)
    assert refused.status_code == 429
    assert ask(frugal, key, max_tokens=40).json()["usage"]["completion_tokens"] == 40
    frugal.wait_idle()


def test_many_who_ask_for_the_last_tokens_at_once_get_no_more_than_those(frugal: Served) -> None:
    key = key_on(frugal, Plan("last-for-all", monthly_tokens=150))
    caller = frugal.services.keys.verify(key)
    url = f"{frugal.url}/v1/chat/completions"

    def one(_: int) -> Any:
        return httpx2.post(url, json=OPEN_END, headers=frugal.headers(key), timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    frugal.wait_idle()
    used = sum(one.json()["usage"]["total_tokens"] for one in answers if one.status_code == 200)
    assert any(one.status_code == 200 for one in answers)
    assert 0 < used <= 150
    assert frugal.services.ledger.standing(caller).rates.monthly_tokens.remaining == 150 - used
