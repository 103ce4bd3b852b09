"""Requests written byte by byte, where no client would behave so."""

from __future__ import annotations

import json
from collections.abc import Mapping


def chat_request(key: str, body: Mapping[str, object]) -> bytes:
    """A whole request for a chat completion."""
    content = json.dumps(body).encode()
    return chat_head(key, len(content)) + content


def chat_head(key: str, length: int) -> bytes:
    """Its head, which promises a body of so many bytes."""
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "\r\n"]).encode()
