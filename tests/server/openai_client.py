"""OpenAI's own client against the served model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai

from tests.server.serving import Served

_open: list[openai.OpenAI] = []


def client(server: Served, key: str | None = None) -> openai.OpenAI:
    """Return a client whose sockets `closing` closes."""
    api = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key or server.key, max_retries=0)
    _open.append(api)
    return api


@contextmanager
def closing() -> Iterator[None]:
    """Close every client in the end."""
    try:
        yield
    finally:
        while _open:
            _open.pop().close()
