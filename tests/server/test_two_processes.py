"""Two real processes on one database: what one makes in the background, the other can end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.server.process import Puna, keep_model

LONG: dict[str, object] = {
    "model": "slow",
    "input": "hello",
    "background": True,
    "max_output_tokens": 1900,
}


@pytest.fixture
def pair(folder: Path, slow_path: Path, url: str) -> Iterator[tuple[openai.OpenAI, openai.OpenAI]]:
    """OpenAI's client of each of two servers that share accounts and responses."""
    servers: list[Puna] = []
    try:
        for name in ("one", "two"):
            keep_model(folder / name, "slow", slow_path)
            servers.append(Puna(folder / name, "slow", url))
            servers[-1].wait_ready()
        key = servers[0].key()
        clients = [openai.OpenAI(base_url=f"{one.url}/v1", api_key=key) for one in servers]
        yield clients[0], clients[1]
        for client in clients:
            client.close()
    finally:
        for one in servers:
            one.kill()


def test_a_response_is_cancelled_or_deleted_through_another_process(
    pair: tuple[openai.OpenAI, openai.OpenAI],
) -> None:
    maker, other = pair
    begun = maker.responses.create(**LONG)  # type: ignore[call-overload]
    assert other.responses.retrieve(begun.id).status in ("queued", "in_progress")
    with pytest.raises(openai.ConflictError, match="retrieve it without stream until"):
        other.responses.retrieve(begun.id, stream=True)
    asked = time.monotonic()
    cancelled = other.responses.cancel(begun.id)
    assert time.monotonic() - asked < 5
    assert cancelled.status == "cancelled"
    assert maker.responses.retrieve(begun.id).status == "cancelled"
    assert other.responses.cancel(begun.id).status == "cancelled"
    assert maker.responses.cancel(begun.id).status == "cancelled"

    deleted = maker.responses.create(**LONG)  # type: ignore[call-overload]
    following = maker.responses.retrieve(deleted.id, stream=True)
    other.responses.delete(deleted.id)
    last = list(following)[-1]
    assert last.type == "response.incomplete"
    assert last.response.status == "cancelled"

    ended = maker.responses.create(model="slow", input="hello", max_output_tokens=2)
    with pytest.raises(openai.BadRequestError, match="has ended"):
        other.responses.cancel(ended.id)
