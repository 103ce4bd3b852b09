"""The books are kept whatever goes wrong in a round."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from puna.accounts import Keys, Ledger, Plan, Plans, Price, Store, Tenants
from puna.errors import CreditError
from puna.formats.store import ModelStore
from puna.llm.models import Models
from puna.server.desk import Desk
from puna.server.settings import ServerSettings

LIMITS = ServerSettings(renew_s=0.01, sweep_s=0.0)


class Stumbling(Ledger):
    """Fails the first time in a way that nobody foresaw."""

    rounds = 0

    def release_stale(self, older_than_s: float = 60) -> int:
        self.rounds += 1
        if self.rounds == 1:
            raise RuntimeError("a bug")
        return super().release_stale(older_than_s)


def test_a_round_that_breaks_is_told_and_the_next_one_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def keep(ledger: Stumbling, models: Models) -> None:
        desk = Desk(models, ledger, LIMITS)
        keeping = asyncio.create_task(desk.keep_books())
        async with asyncio.timeout(10):
            while ledger.rounds < 3 and not keeping.done():
                await asyncio.sleep(0.01)
        assert keeping.cancel()
        desk.close()

    store = Store.open(f"sqlite:///{tmp_path}/puna.db")
    ledger = Stumbling(store)
    with Models(ModelStore(tmp_path)) as models:
        asyncio.run(keep(ledger, models))
    store.close()
    assert ledger.rounds >= 3
    assert "the next round tries again" in caplog.text


def test_nothing_is_loaded_for_who_cannot_pay(tmp_path: Path, tiny_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/puna.db")
    Plans(store).create(Plan("paid", prices={"*": Price(1_000_000, 250_000, 4_000_000)}))
    tenant, keys = Tenants(store).create("Poor", "paid"), Keys(store)
    caller = keys.verify(keys.create("key", tenant.id).secret)

    async def ask(models: Models) -> None:
        desk = Desk(models, Ledger(store), LIMITS)
        with pytest.raises(CreditError):
            await desk.begin(caller, "tiny", lambda llm: ())
        await desk.drain()
        assert desk.gate.inside == 0
        desk.close()

    with Models(ModelStore(tmp_path), aliases={"tiny": tiny_path}) as models:
        asyncio.run(ask(models))
        assert models._slots == {}
    store.close()
