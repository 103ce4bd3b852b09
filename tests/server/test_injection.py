"""SQL in any field stays a text: nothing is read, changed or delayed by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
from sqlalchemy import func, select

from puna.accounts.keys import KeyRow
from puna.accounts.plans import PlanRow
from puna.accounts.tenants import TenantRow
from puna.server.app import ROUTERS  # every table that a route knows is declared by now
from tests.server.serving import MODEL, Served

ENDS = ("", "--", "#", ";--", "/*", "\0")
QUOTES = ("'", '"', "`", "\\'", "''", "$$", ")", "');", "\uff07")
CORES = (
    " OR 1=1",
    " OR 'a'='a",
    "; DROP TABLE keys",
    "; DELETE FROM tenants",
    "; UPDATE plans SET monthly_tokens = NULL",
    " UNION SELECT secret_hash FROM keys",
    "; SELECT pg_sleep(5)",
    " || (SELECT pg_sleep(5))",
    "; ATTACH DATABASE '/tmp/x' AS x",
    " AND randomblob(1000000000)",
)
PAYLOADS = [f"x{quote_}{core}{end}" for quote_ in QUOTES for core in CORES for end in ENDS]
DELAYED_S = 4.0


def asked(payload: str, key: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A request for each place of a text: method, path, and what goes with it."""
    header = {"Authorization": f"Bearer {key}"}
    dialog = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    tool = {"type": "function", "function": {"name": payload}}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {**dialog, "model": payload}),
        ("/v1/chat/completions", {**dialog, "messages": [{"role": payload, "content": "hi"}]}),
        ("/v1/chat/completions", {**dialog, "tools": [tool]}),
        ("/v1/chat/completions/input_tokens", {**dialog, "user": payload}),
        ("/v1/embeddings", {"model": payload, "input": payload}),
        ("/v1/responses", {"model": MODEL, "input": "hi", "previous_response_id": payload}),
        ("/tokenize", {"model": MODEL, "content": payload}),
    ]
    for path, body in bodies:
        yield "POST", path, {"headers": header, "json": body}
    for path in (f"/v1/responses/{quote(payload, safe='')}", f"/v1/models/{quote(payload)}"):
        yield "GET", path, {"headers": header}
    sendable = payload.encode("latin-1", "ignore").replace(b"\0", b"").decode("latin-1")
    for secret in (sendable, f"{key}{sendable}"):
        yield "GET", "/v1/models", {"headers": {"Authorization": f"Bearer {secret}"}}


def rows(server: Served) -> list[int | None]:
    tables = (KeyRow, TenantRow, PlanRow)
    with server.services.store.read() as session:
        counts = [session.scalar(select(func.count()).select_from(one)) for one in tables]
        hashes = session.scalars(select(KeyRow.secret_hash)).all()
        return [*counts, hash(tuple(hashes))]


def test_sql_in_any_field_is_a_text(either: Served) -> None:
    assert ROUTERS
    assert len(PAYLOADS) >= 500
    before = rows(either)
    key = either.services.keys.create("prober").secret
    with httpx2.Client(base_url=either.url, timeout=30) as web:
        for number, payload in enumerate(PAYLOADS):
            requests = list(asked(payload, key))
            method, path, sent = requests[number % len(requests)]  # each place gets some fifty
            began = time.monotonic()
            answer = web.request(method, path, **sent)
            assert answer.status_code < 500, (path, payload, answer.text)
            assert time.monotonic() - began < DELAYED_S, (path, payload)
            if path == "/v1/models":
                assert answer.status_code == 401, payload
    assert rows(either)[1:3] == before[1:3]
    assert rows(either)[0] == (before[0] or 0) + 1  # the prober's
