"""Requests that the API's description allows, and ones that it does not: make fuzz-api.

In: a running server and a number of cases.  Out: a row for each route: cases sent, server
errors, answers that contradict the description.  Knows the server by that description alone.

    python -m tests.server.fuzz 5000 [--seed 1] ["POST /tokenize" ...]
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from puna.accounts import SCOPES, Users
from puna.server import ServerSettings
from tests.server.serving import MODEL, Served, served
from tests.tiny import TinyLlama

CONTEXT_TOKENS = 96  # no answer is long
MOST_ITEMS = 3
TOOLS = ["look", "find", "add"]
NAMING_TOOLS = {"Function", "FunctionTool", "FunctionName", "NamedTool"}
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@dataclass
class Found:
    """What one route was sent, and how it answered."""

    route: str
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)  # by title: the first of its kind
    contradictions: int = 0
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return self.statuses.total()

    @property
    def server_errors(self) -> int:
        return sum(number for status, number in self.statuses.items() if status >= 500)

    @property
    def sound(self) -> bool:
        return not self.faults

    def note(self, failures: Sequence[Failure], message: str) -> None:
        """Count an answer that is not as it should be."""
        self.contradictions += 1
        for failure in failures:
            self.faults.setdefault(f"{failure.title}: {failure.message}"[:500], message)

    def __str__(self) -> str:
        told = ", ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items()))
        return (
            f"| {self.route} | {self.cases} | {self.server_errors} | {self.contradictions} "
            f"| {told} | {self.seconds:.0f} s |"
        )


def fuzz(server: Served, cases: int, *wanted: str, start: int = 1) -> Iterator[Found]:
    """Send `cases` cases, half of them spoilt, to each route, or to those that are wanted."""
    schema = schemathesis.openapi.from_dict(described(server))
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if not wanted or operation.label in wanted:
            yield _fuzzed(server, operation, cases, start)


@dataclass(frozen=True)
class Sender:
    """Sends one route's cases over one connection."""

    found: Found
    session: requests.Session
    url: str

    def send(self, strategy: SearchStrategy[Case[Any]], cases: int, start: int) -> None:
        """Send so many; where fewer can be told apart, these again."""
        for number in count(start):
            left = cases - self._sent(strategy, cases, number)
            if left in (0, cases):
                return
            cases = left

    def _sent(self, strategy: SearchStrategy[Case[Any]], cases: int, number: int) -> int:
        before = self.found.cases

        @seed(number)
        @settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def test(case: Case[Any]) -> None:
            self._send(case)

        with suppress(Unsatisfiable):  # nothing about it can be spoilt
            test()
        return self.found.cases - before

    def _send(self, case: Case[Any]) -> None:
        response = case.call(base_url=self.url, session=self.session, timeout=60)
        self.found.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            self.found.note(group.exceptions, str(group))


def _fuzzed(
    server: Served, operation: APIOperation[Any, Any, Any, Any], cases: int, start: int
) -> Found:
    found, began = Found(operation.label), time.monotonic()
    with requests.Session() as session:
        session.headers.update(server.headers(_persons_key(server)))
        sender = Sender(found, session, server.url)
        halves = {GenerationMode.NEGATIVE: cases // 2, GenerationMode.POSITIVE: cases - cases // 2}
        for mode, share in halves.items():
            sender.send(operation.as_strategy(generation_mode=mode), share, start)
    found.seconds = time.monotonic() - began
    return found


def described(server: Served) -> dict[str, Any]:
    """The server's description, with the names of what is there: other names end early."""
    schema: dict[str, Any] = json.loads(json.dumps(server.app.openapi()))
    bodies = schema["components"]["schemas"]
    bodies |= {name: _bounded(bodies[name]) for name in _sent(schema)}
    for name in _sent(schema):
        if "model" in bodies[name].get("properties", {}):
            bodies[name]["properties"]["model"] = {"type": "string", "enum": [MODEL]}
    _make_likely(bodies)
    for path in schema["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in THERE:
                    names = {THERE[parameter["name"]](server) for _ in range(20)}
                    parameter["schema"] = {
                        "type": "string",
                        "enum": [*sorted(names), "unknown", "é"],
                    }
    return schema


def _make_likely(bodies: dict[str, Any]) -> None:
    """Say what JSON's schemas have no word for: else hardly a chat would be answered."""
    message = bodies["ChatMessage"]
    message["required"] = ["role", "content", "tool_call_id"]
    message["properties"]["tool_call_id"] = {"type": "string", "minLength": 1}
    message["properties"]["content"] = {"type": "string"}
    for name in ("ChatRequest", "Dialog", "ResponseRequest", "CompletionRequest"):
        fields = bodies[name]["properties"]
        fields.get("logit_bias", {})["propertyNames"] = {"pattern": "^[1-9]$"}
        fields["top_logprobs"] = {"enum": [None, 0]}
        if "tool_choice" in fields:
            choices = [{"enum": [None, "none", "auto"]}, *fields["tool_choice"]["anyOf"]]
            fields["tool_choice"] = {"anyOf": choices}
    for body in bodies.values():  # a choice that names a tool has one to find
        if body.get("title") in NAMING_TOOLS and "name" in body["properties"]:
            body["properties"]["name"] = {"type": "string", "enum": TOOLS}


def _sent(schema: dict[str, Any]) -> set[str]:
    """Name the schemas that requests are made of, not those of answers."""
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    found, new = set[str](), _named([operation.get("requestBody") for operation in operations])
    while new:
        found |= new
        new = _named([schema["components"]["schemas"][name] for name in new]) - found
    return found


def _named(part: object) -> set[str]:
    return set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(part)))


def _bounded(value: Any) -> Any:
    """A description whose lists are short: long ones say nothing new, and take long to make up."""
    if isinstance(value, list):
        return [_bounded(one) for one in value]
    if not isinstance(value, dict):
        return value
    bounded = {name: _bounded(one) for name, one in value.items()}
    if bounded.get("type") == "array":
        bounded["maxItems"] = min(bounded.get("maxItems", MOST_ITEMS), MOST_ITEMS)
    return bounded


def _kept(server: Served) -> str:
    body = {"model": MODEL, "input": "hello", "max_output_tokens": 2}
    url = f"{server.url}/v1/responses"
    answer = httpx2.post(url, json=body, headers=server.headers(), timeout=60)
    return str(answer.raise_for_status().json()["id"])


def _persons_key(server: Served) -> str:
    """Return a key with every scope that opens a person's own conversations, too."""
    users, address = Users(server.services.store), "person@example.org"
    if address not in [user.email for user in users.list()]:
        users.create(address, "a long pass phrase", role="owner")
    return server.services.keys.create("fuzz", scopes=SCOPES, user=address).secret


THERE: dict[str, Callable[[Served], str]] = {"model": lambda _: MODEL, "response_id": _kept}


def main(arguments: Sequence[str]) -> int:
    """Serve a tiny Llama, and show what was found, route by route."""
    parser = ArgumentParser()
    parser.add_argument("cases", type=int)
    parser.add_argument("routes", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_intermixed_args(arguments)
    sound = True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = TinyLlama(seed=1).write_gguf(home / "tiny.gguf")
        with served(home, model, ServerSettings(MODEL), CONTEXT_TOKENS) as server:
            server.wait_ready()
            print("| route | cases | server errors | contradictions | statuses | time |")
            print("|---|---|---|---|---|---|")
            for found in fuzz(server, asked.cases, *asked.routes, start=asked.seed):
                print(found, *found.faults.values(), sep="\n", flush=True)
                sound = sound and found.sound
            server.wait_idle()
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
