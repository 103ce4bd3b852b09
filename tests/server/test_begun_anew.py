"""A request whose server was killed is sent again under its Idempotency-Key: paid for once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from puna.chat import Usage
from tests.server.dying import Point, dying
from tests.server.serving import MODEL, Served, served

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 40,
    "temperature": 0,
    "ignore_eos": True,
}


def send(url: str, key: str, stream: bool) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "the one"}
    body = {**CHAT, "stream": stream}
    return httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)


@pytest.mark.parametrize("point", get_args(Point))
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_retry_after_a_kill_is_not_charged_again(
    folder: Path, tiny_path: Path, url: str, point: Point, stream: bool
) -> None:
    # A stream may have been read whole: its last piece is sent before it is recorded.
    with dying(point, folder, tiny_path, url) as (address, known), suppress(httpx2.TransportError):
        send(address, known[1], stream)
    with served(folder, tiny_path, url=url, known=known) as server:
        server.wait_ready()
        again, replayed = (send(server.url, server.other_key, stream) for _ in range(2))
        assert again.status_code == 200
        assert "idempotent-replayed" not in again.headers
        assert replayed.headers["idempotent-replayed"] == "true"
        assert replayed.content == again.content
        server.wait_idle()
        check_paid_once(server)


def check_paid_once(server: Served) -> None:
    charges = [row.charge() for row in server.charged()]
    assert sorted(charge.outcome for charge in charges) in (
        ["crash", "success"],
        ["success", "success"],
    )
    paid = sum((charge.usage for charge in charges), Usage())
    asked = next(charge.usage.prompt_tokens for charge in charges if charge.usage.prompt_tokens)
    assert paid == Usage(asked, CHAT["max_tokens"], paid.cached_tokens)
    balance = server.services.ledger.balance(server.other_tenant)
    assert balance.spent_micros == sum(charge.cost_micros for charge in charges) > 0
