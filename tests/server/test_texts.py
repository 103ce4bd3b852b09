"""Work on text that nobody is charged for: bounded, and no tenant's stands before everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from puna.accounts import Caller
from puna.errors import ForbiddenError, OverloadError
from puna.server.gate import Gate
from puna.server.texts import Texts
from tests.server.serving import MODEL, Served


class Lender:
    """Stands in for models: counts who holds one."""

    def __init__(self) -> None:
        self.held = self.most = 0

    @asynccontextmanager
    async def lease_async(self, name: str) -> AsyncIterator[str]:
        self.held += 1
        self.most = max(self.most, self.held)
        try:
            yield name
        finally:
            self.held -= 1


@pytest.fixture
def caller(server: Served) -> Caller:
    return server.services.keys.verify(server.key)


async def work(texts: Texts, caller: Caller) -> None:
    async with texts.lend(caller, MODEL):
        await asyncio.sleep(0.01)


def test_a_tenants_texts_follow_each_other_and_two_tenants_work_side_by_side(
    caller: Caller,
) -> None:
    other = replace(caller, tenant_id="somebody else")

    async def most(*callers: Caller) -> int:
        lender: Any = Lender()
        texts = Texts(lender, Gate(64))
        await asyncio.gather(*(work(texts, one) for one in callers))
        return int(lender.most)

    assert asyncio.run(most(*[caller] * 10)) == 1
    assert asyncio.run(most(*[caller] * 10, *[other] * 10)) == 2


def test_texts_take_places_and_give_them_back(caller: Caller) -> None:
    async def fill() -> None:
        lender: Any = Lender()
        gate = Gate(4)
        texts = Texts(lender, gate)
        told = await asyncio.gather(
            *(work(texts, caller) for _ in range(10)), return_exceptions=True
        )
        assert [type(one) for one in told if one] == [OverloadError] * 6
        assert gate.inside == 0
        barred = replace(caller, plan=replace(caller.plan, models=("another",)))
        with pytest.raises(ForbiddenError):
            await work(texts, barred)
        assert gate.inside == 0

    asyncio.run(fill())


ROUTES: dict[str, dict[str, Any]] = {
    "/tokenize": {"content": "grass"},
    "/detokenize": {"tokens": [1]},
    "/v1/chat/completions/input_tokens": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses/input_tokens": {"input": "Hi"},
}


@pytest.mark.parametrize("path", ROUTES)
def test_a_full_server_refuses_texts_as_it_refuses_answers(server: Served, path: str) -> None:
    def send() -> httpx2.Response:
        body = {"model": MODEL, **ROUTES[path]}
        return httpx2.post(server.url + path, json=body, headers=server.headers())

    assert send().status_code == 200
    gate = server.desk.gate
    for tenant in range(gate.places):
        gate.enter(str(tenant))
    try:
        answer = send()
    finally:
        for tenant in range(gate.places):
            gate.leave(str(tenant))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert send().status_code == 200
