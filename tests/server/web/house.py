"""A real house over a real database, and somebody who is at home in it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from starlette.testclient import TestClient

from puna.accounts import Caller, Ledger, Links, Store, Users
from puna.formats.store import ModelStore
from puna.llm.models import Models
from puna.server.desk import Desk
from puna.server.guard import Guard
from puna.server.settings import LOCAL_HOSTS, ServerSettings
from puna.server.web.house import House, house_of
from puna.server.web.site import Site
from tests.sqlite import new_url

OURS = {"X-Puna": "page"}
OWNER = {"name": "Ana", "email": "ana@example.org", "password": "a long password"}
GUEST = {"name": "Ben", "email": "ben@example.org", "password": "another password"}
CLOSED = 401
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)  # argon2id as in earnest


def new_house(folder: Path, home: Path | None = None) -> House:
    store = Store.open(new_url(folder))
    models = ModelStore(home or folder)
    users = Users(store, hasher=QUICK)
    house = house_of(store, models, quiet_desk(models, store))
    return replace(house, users=users, links=Links(store, users))


def quiet_desk(models: ModelStore, store: Store) -> Desk:
    """A desk at which nobody asks for an answer: it only needs to have seen an event loop."""

    async def opened() -> Desk:
        return Desk(Models(models), Ledger(store), ServerSettings())

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(opened())).result()


def whole(house: House, *hosts: str) -> Guard:
    """The site as `puna serve --host-name` has it: behind the guard of the application."""
    return Guard(Site(house), ServerSettings(hosts=(*LOCAL_HOSTS, *hosts)), nothing_left)


async def nothing_left(_caller: Caller) -> dict[str, str]:
    return {}


def stranger(house: House, base_url: str = "http://localhost") -> TestClient:
    return TestClient(
        whole(house, urlsplit(base_url).hostname or ""),
        base_url=base_url,
        headers=OURS,
        follow_redirects=False,
        raise_server_exceptions=False,
    )


def owner(house: House, base_url: str = "http://localhost") -> TestClient:
    """A browser in which the owner has just used the one-time link."""
    token = house.links.for_owner()
    assert token
    client = stranger(house, base_url)
    assert client.post("/web/welcome", json={**OWNER, "token": token}).status_code == 200
    return client


def guest(house: House, plan: str = "free") -> TestClient:
    """A browser of a person of another tenant."""
    tenant = house.tenants.create("Guests", plan)
    token = house.links.invite(tenant.id)
    client = stranger(house)
    assert client.post("/web/welcome", json={**GUEST, "token": token}).status_code == 200
    return client
