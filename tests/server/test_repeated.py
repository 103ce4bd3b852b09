"""Requests under an Idempotency-Key, over a real socket, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from puna.server import ServerSettings
from tests.server.conftest import DATABASES, url_for
from tests.server.openai_client import client
from tests.server.serving import MODEL, Served, served

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 6,
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": MODEL, "prompt": "hello", "max_tokens": 6},
    "/v1/embeddings": {"model": MODEL, "input": ["hello", "the"]},
    "/v1/responses": {"model": MODEL, "input": "hello", "max_output_tokens": 6},
}


@pytest.fixture(scope="module", params=DATABASES)
def twice(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_path: Path
) -> Iterator[Served]:
    """A server on either database."""
    folder = tmp_path_factory.mktemp("repeated")
    with served(folder, tiny_path, ServerSettings(MODEL), url=url_for(request)) as running:
        running.wait_ready()
        yield running


def send(
    server: Served, key: str, path: str = "/v1/chat/completions", **more: Any
) -> httpx2.Response:
    headers = {**server.headers(server.other_key), "Idempotency-Key": key}
    body = {**BODIES[path], **more}
    return httpx2.post(f"{server.url}{path}", json=body, headers=headers, timeout=60)


@pytest.mark.parametrize("path", BODIES)
def test_the_same_again_is_answered_alike_and_charged_once(twice: Served, path: str) -> None:
    before = len(twice.charged())
    first, again = (send(twice, path, path) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    twice.wait_idle()
    assert len(twice.charged()) == before + 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_a_stream_is_replayed_event_by_event(twice: Served, path: str) -> None:
    before = len(twice.charged())
    first, again = (send(twice, f"{path} streamed", path, stream=True) for _ in range(2))
    assert first.headers["content-type"] == again.headers["content-type"]
    assert again.content == first.content
    assert b"data: " in first.content
    twice.wait_idle()
    assert len(twice.charged()) == before + 1


def test_another_body_under_the_key_is_refused_in_openais_shape(twice: Served) -> None:
    send(twice, "taken")
    refused = send(twice, "taken", max_tokens=7)
    assert refused.status_code == 409
    assert set(refused.json()["error"]) == {"message", "type", "param", "code"}
    other = send(twice, "taken", "/v1/completions")
    assert other.status_code == 409


def test_a_key_of_another_tenant_is_another_key(twice: Served) -> None:
    first = send(twice, "shared")
    headers = {**twice.headers(), "Idempotency-Key": "shared"}
    url = f"{twice.url}/v1/chat/completions"
    other = httpx2.post(url, json={**CHAT, "max_tokens": 3}, headers=headers)
    assert other.status_code == 200
    assert other.json()["id"] != first.json()["id"]


def test_sent_many_times_at_once_it_is_computed_once(twice: Served) -> None:
    for number in range(2):
        before = len(twice.charged())
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: send(twice, f"many {number}"), range(8)))  # noqa: B023
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        twice.wait_idle()
        assert len(twice.charged()) == before + 1


def test_what_was_refused_may_be_sent_again(twice: Served) -> None:
    long = {**CHAT, "messages": [{"role": "user", "content": "the " * 3000}]}
    assert send(twice, "refused", **long).status_code == 400
    assert send(twice, "refused").status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_what_is_no_key_is_refused(twice: Served, key: str) -> None:
    assert send(twice, key).status_code == 400


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_went_away_gets_its_answer_by_asking_again(
    twice: Served, stream: bool
) -> None:
    before = len(twice.charged())
    key = f"gone {secrets.token_hex(4)}"  # tried again, it is another request
    more: dict[str, Any] = {"max_tokens": 200, "ignore_eos": True, "stream": stream}
    asyncio.run(_hang_up(twice, key, more))
    again = send(twice, key, **more)
    assert again.status_code == 200
    twice.wait_idle()
    charges = twice.charged()[before:]
    assert [(one.outcome, one.completion_tokens) for one in charges] == [("success", 200)]
    assert again.headers["idempotent-replayed"] == "true"


async def _hang_up(server: Served, key: str, more: dict[str, Any]) -> None:
    """Send, wait until the answer is being made, and leave."""
    headers = {**server.headers(server.other_key), "Idempotency-Key": key}
    async with httpx2.AsyncClient(timeout=60) as api:
        url, body = f"{server.url}/v1/chat/completions", {**CHAT, **more}
        asking = asyncio.create_task(api.post(url, json=body, headers=headers))
        while server.reserved() == 0 and not asking.done():
            await asyncio.sleep(0.001)
        asking.cancel()


def test_openais_client_sends_the_key_as_a_header(twice: Served) -> None:
    api = client(twice)
    ask: dict[str, Any] = {"model": MODEL, "prompt": "hello", "max_tokens": 3}
    key = {"Idempotency-Key": "by the client"}
    first, again = (api.completions.create(**ask, extra_headers=key) for _ in range(2))
    assert first == again


def test_an_answer_too_long_to_be_kept_is_not_made_twice(twice: Served) -> None:
    before = len(twice.charged())
    many = ["hello"] * 1200  # more than a megabyte of numbers
    first, again = (send(twice, "long", "/v1/embeddings", input=many) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 409)
    assert again.json()["error"]["code"] == "answer_not_kept"
    twice.wait_idle()
    assert len(twice.charged()) == before + 1
