"""After any mixture of requests the ledger, the usage report and the engine say the same."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx2
import pytest

from puna.accounts import Keys, Plan, Plans, Price, Tenants
from puna.accounts.entries import EntryRow
from puna.accounts.rates import MeterRow
from puna.accounts.usage import UsageReport
from puna.chat import Usage
from tests.accounts.world import check_books
from tests.server.conftest import DATABASES, url_for
from tests.server.serving import MODEL, Served, served
from tests.server.witness import WitnessedModels

PRICE = Price(1_000_000, 250_000, 4_000_000)
PLANS = (
    Plan("rich", prices={"*": PRICE}),
    Plan("hurried", prices={"*": PRICE}, requests_per_minute=20),
    Plan("monthly", monthly_tokens=6_000),
    Plan("alone", concurrent_requests=1, tokens_per_minute=20_000),
)
CLIENTS, REQUESTS = 3, 14  # of each tenant, of each client
SHARED = "A herd of llamas walks over the plateau in the evening. " * 8  # found in the cache
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Bern", "Oslo"]}},
            "required": ["city"],
        },
    },
}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "city", "schema": TOOL["function"]["parameters"]},
}


@dataclass
class Person:
    """One tenant's client: what it asks at random, and what it was told."""

    server: Served
    tenant_id: str
    key: str
    random: Random
    told: list[tuple[int, int]] = field(default_factory=list)  # prompt, completion
    statuses: Counter[int] = field(default_factory=Counter)

    def ask_all(self) -> None:
        ways = [self.chat, self.chat, self.call, self.form, self.stream, self.leave, self.leave]
        ways += [self.leave_at_once, self.embed, self.complete, self.respond, self.err, self.open]
        with httpx2.Client(headers=self.server.headers(self.key), timeout=60) as self.web:
            for _ in range(REQUESTS):
                self.random.choice(ways)()

    def post(self, path: str, body: dict[str, Any]) -> None:
        answer = self.web.post(f"{self.server.url}{path}", json={"model": MODEL, **body})
        self.statuses[answer.status_code] += 1
        assert answer.status_code in (200, 400, 429), answer.text
        if answer.status_code == 200:
            self.hear(answer.json()["usage"])

    def hear(self, usage: dict[str, Any]) -> None:
        prompt = usage["input_tokens" if "input_tokens" in usage else "prompt_tokens"]
        said = usage.get("completion_tokens", usage.get("output_tokens", 0))
        self.told.append((int(prompt), int(said)))

    def dialog(self, **more: Any) -> dict[str, Any]:
        said = self.random.choice(["", SHARED]) + f"Number {self.random.randrange(5)}."
        tokens = self.random.randrange(1, 30)
        return {"messages": [{"role": "user", "content": said}], "max_tokens": tokens, **more}

    def chat(self) -> None:
        self.post("/v1/chat/completions", self.dialog(n=self.random.randint(1, 3)))

    def open(self) -> None:
        dialog = self.dialog(stop=["e", "a"], temperature=0.7)
        dialog.pop("max_tokens")
        self.post("/v1/chat/completions", dialog)

    def call(self) -> None:
        more: dict[str, Any] = {"tools": [TOOL], "tool_choice": "required", "max_tokens": 80}
        self.post("/v1/chat/completions", self.dialog(**more))

    def form(self) -> None:
        self.post("/v1/chat/completions", self.dialog(response_format=FORM, max_tokens=80))

    def embed(self) -> None:
        texts = [SHARED, "two", "three"][: self.random.randint(1, 3)]
        self.post("/v1/embeddings", {"input": texts})

    def complete(self) -> None:
        prompts = [SHARED, [5, 6, 7], ["one", "two"]]
        more = self.random.choice([{}, {"echo": True, "logprobs": 1}, {"best_of": 3, "n": 2}])
        self.post("/v1/completions", {"prompt": self.random.choice(prompts), **more})

    def respond(self) -> None:
        self.post("/v1/responses", {"input": SHARED, "max_output_tokens": 9})

    def err(self) -> None:
        bodies: list[dict[str, Any]] = [
            {"messages": []},
            self.dialog(temperature=9),
            self.dialog(max_tokens=99_999),
            self.dialog(logit_bias={"99999999": 1}),
            self.dialog(response_format={"type": "json_schema", "json_schema": {"name": "x"}}),
        ]
        self.post("/v1/chat/completions", self.random.choice(bodies))

    def stream(self) -> None:
        self.read(self.dialog(stream_options={"include_usage": True}), None)

    def leave(self) -> None:
        self.read(self.dialog(max_tokens=400, ignore_eos=True), self.random.randrange(1, 60))

    def read(self, body: dict[str, Any], lines: int | None) -> None:
        """Read a stream to its end, or so many lines of it."""
        url, left = f"{self.server.url}/v1/chat/completions", lines
        body = {"model": MODEL, "stream": True, **body}
        with self.web.stream("POST", url, json=body) as answer:
            self.statuses[answer.status_code] += 1
            for line in answer.iter_lines():
                if line.startswith("data: {") and (usage := json.loads(line[6:]).get("usage")):
                    self.hear(usage)
                left = None if left is None else left - 1
                if left == 0:
                    return

    def leave_at_once(self) -> None:
        url = f"{self.server.url}/v1/chat/completions"
        body = {"model": MODEL, **self.dialog(max_tokens=1500, ignore_eos=True)}
        try:
            self.web.post(url, json=body, timeout=self.random.choice([0.001, 0.02, 0.1]))
        except httpx2.TimeoutException:
            return


@pytest.fixture(params=DATABASES)
def server(request: pytest.FixtureRequest, tmp_path: Path, tiny_path: Path) -> Iterator[Served]:
    """A server with a witness at its engine, on either database."""
    with served(tmp_path, tiny_path, url=url_for(request), kind=WitnessedModels) as running:
        running.wait_ready()
        yield running


def newcomers(server: Served, seed: int) -> list[Person]:
    """Some clients of each of four tenants, each tenant on a plan of its own."""
    store = server.services.store
    clients: list[Person] = []
    for number, plan in enumerate(PLANS):
        Plans(store).create(plan)
        tenant = Tenants(store).create(f"tenant {plan.id}", plan.id)
        if plan.prices:
            server.services.ledger.credit(tenant.id, 20_000 if plan.id == "hurried" else 10**8)
        key = Keys(store).create("key", tenant.id).secret
        seeds = [f"{seed} {number} {client}" for client in range(CLIENTS)]
        clients += [Person(server, tenant.id, key, Random(one)) for one in seeds]
    return clients


def test_a_mixed_run_is_charged_as_the_engine_counted(server: Served) -> None:
    clients = newcomers(server, 20261124)
    with ThreadPoolExecutor(len(clients)) as pool:
        for done in [pool.submit(client.ask_all) for client in clients]:
            done.result()
    server.wait_idle()
    statuses = sum((client.statuses for client in clients), Counter[int]())
    assert min(statuses[200], statuses[400], statuses[429]) > 3, statuses
    check_tenants(server, clients)
    outcomes = Counter(str(entry.outcome) for entry in server.charged())
    assert min(outcomes["success"], outcomes["disconnect"]) > 3, outcomes
    assert sum(entry.cached_tokens for entry in server.charged()) > 0


ENDS: dict[str, Callable[[Served], None]] = {
    "error": lambda server: server.services.models.close(),  # the engine is gone in mid-answer
    "shutdown": lambda server: setattr(server.server, "should_exit", True),
}


@pytest.mark.parametrize("outcome", list(ENDS))
def test_answers_that_the_server_ends_are_charged_as_the_engine_counted(
    request: pytest.FixtureRequest, server: Served, outcome: str
) -> None:
    client = newcomers(server, 1)[0]
    server.desk.hurry()  # the end does not wait for answers
    url, body = f"{server.url}/v1/chat/completions", client.dialog(max_tokens=1900, ignore_eos=True)

    def read(stream: bool) -> str:
        return httpx2.post(
            url,
            json={"model": MODEL, "stream": stream, "n": 2, **body},
            headers=server.headers(client.key),
            timeout=60,
        ).text

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(read, stream) for stream in (True, True, False, False)]
        models = cast(WitnessedModels, server.services.models)
        while models.used(client.tenant_id).completion_tokens < 100:
            time.sleep(0.001)
        ENDS[outcome](server)
        for answer in answers:
            assert '"error"' in answer.result()
    while server.desk.gate.inside or server.reserved():
        time.sleep(0.01)
    assert {entry.outcome for entry in server.charged()} == {outcome}
    check_tenants(server, [client])


def check_tenants(server: Served, clients: list[Person]) -> None:
    """For each tenant: ledger = report = engine = meter, and what clients were told is in it."""
    store = server.services.store
    check_books(store)
    models = cast(WitnessedModels, server.services.models)
    for tenant_id in {client.tenant_id for client in clients}:
        rows = [row for row in server.charged() if row.tenant_id == tenant_id]
        counted = summed(rows)
        assert counted == models.used(tenant_id)
        report = UsageReport(store).rows(by=["day", "key", "model"], tenant_id=tenant_id)
        assert counted == summed(report)
        assert sum(row.requests for row in report) == len(rows)
        with store.read() as session:
            meter = session.get(MeterRow, tenant_id)
            assert meter
            assert meter.month_tokens == counted.total_tokens
        check_costs(server, tenant_id, rows)
        told = Counter(one for c in clients if c.tenant_id == tenant_id for one in c.told)
        charged = Counter(
            (row.prompt_tokens, row.completion_tokens) for row in rows if row.outcome == "success"
        )
        assert told <= charged


def check_costs(server: Served, tenant_id: str, rows: list[EntryRow]) -> None:
    """Each charge is its tokens' price, and the balance has lost their sum."""
    spent = server.services.ledger.balance(tenant_id).spent_micros
    assert spent == -sum(row.amount_micros for row in rows)
    for row in rows:
        usage = Usage(row.prompt_tokens, row.completion_tokens, row.cached_tokens)
        priced = row.plan_id in ("rich", "hurried")
        assert -row.amount_micros == (PRICE.cost_micros(usage) if priced else 0)


def summed(rows: Any) -> Usage:
    """Return the sums of three columns."""
    return Usage(
        sum(row.prompt_tokens for row in rows),
        sum(row.completion_tokens for row in rows),
        sum(row.cached_tokens for row in rows),
    )
