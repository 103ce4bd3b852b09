"""A real server: uvicorn on a real socket, a database, and a tiny Llama behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi import FastAPI
from sqlalchemy import func, select

from puna.accounts import SCOPES, PaymentProvider, Plan, Plans, Price, Store, Tenants
from puna.accounts.entries import EntryRow
from puna.accounts.reservations import ReservationRow
from puna.engine import EngineSettings
from puna.formats.store import ModelStore
from puna.llm.models import Models, ModelSettings
from puna.server import ServerSettings, Services, create_app
from puna.server.desk import Desk
from puna.server.listening import Server
from puna.server.web.site import LateSite
from tests.sqlite import new_url

MODEL = "tiny"

Known = tuple[str, str, str]  # the owner's key, another tenant's, that tenant


@dataclass(frozen=True)
class Served:
    """A running server with two tenants' keys."""

    app: FastAPI
    server: Server
    url: str
    key: str  # of the owner, with every scope
    other_key: str  # of another tenant, on a plan with prices
    other_tenant: str

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    @property
    def desk(self) -> Desk:
        desk: Desk = self.app.state.desk
        return desk

    def headers(self, key: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {key or self.key}"}

    def reserved(self) -> int:
        with self.services.store.read() as session:
            return session.scalar(select(func.count()).select_from(ReservationRow)) or 0

    def charged(self) -> list[EntryRow]:
        query = select(EntryRow).where(EntryRow.kind == "charge").order_by(EntryRow.number)
        with self.services.store.read() as session:
            return list(session.scalars(query))

    def latest_charge(self) -> EntryRow:
        query = select(EntryRow).where(EntryRow.kind == "charge").order_by(EntryRow.number.desc())
        with self.services.store.read() as session:
            return session.scalars(query.limit(1)).one()

    def wait_ready(self) -> None:
        """Wait until the model is loaded and answers."""
        while httpx2.get(f"{self.url}/health", timeout=30).status_code != 200:
            time.sleep(0.01)

    def wait_idle(self, patience_s: float = 20.0) -> float:
        """Wait until nothing is held any more; returns the seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < patience_s:
            loads = [llm.load() for llm in list(self.desk.known.values())]
            busy = self.desk.gate.inside or any(one.running or one.waiting for one in loads)
            if not busy and self.reserved() == 0:
                return time.monotonic() - began
            time.sleep(0.005)
        raise AssertionError(
            f"still busy: {self.desk.gate.inside} inside, {self.reserved()} reserved"
        )


@contextmanager
def served(
    folder: Path,
    model: Path,
    settings: ServerSettings | None = None,
    context_tokens: int | None = 2048,
    *,
    url: str | None = None,
    kind: type[Models] = Models,
    known: Known | None = None,
    provider: PaymentProvider | None = None,
) -> Iterator[Served]:
    """Serve `model` on a free port of this machine; accounts are in `folder`, or at `url`.

    Where they have been served before, `known` is who was.
    """
    store = Store.open(url or new_url(folder))
    engine = EngineSettings(max_batch_tokens=64, max_sequences=8, prefill_beside_decode_tokens=16)
    opening = ModelSettings(context_tokens=context_tokens, threads=1, engine=engine)
    models = kind(ModelStore(folder), opening, {MODEL: model})
    settings = settings or ServerSettings(default_model=MODEL)
    services = Services.of(store, models, provider=provider)
    site = LateSite(store, ModelStore(folder), payments=services.payments)
    app = create_app(services, settings, site)
    server = Server(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, name="server under test")
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        url = f"http://127.0.0.1:{server.port}"
        yield Served(app, server, url, *(known or _introduced(app, store)))
    finally:
        server.should_exit = True
        thread.join(20)
        models.close()
        store.close()
    assert not thread.is_alive()


def _introduced(app: FastAPI, store: Store) -> Known:
    keys = app.state.services.keys
    Plans(store).create(Plan("paid", prices={"*": Price(1_000_000, 250_000, 4_000_000)}))
    other = Tenants(store).create("Others", "paid")
    app.state.services.ledger.credit(other.id, 100_000_000)
    own = keys.create("test", scopes=SCOPES).secret
    return own, keys.create("other", other.id).secret, other.id
