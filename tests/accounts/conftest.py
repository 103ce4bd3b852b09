"""What the tests of accounts share: each runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from puna.accounts import Store
from tests.accounts.world import ManualClock, World
from tests.postgres import Cluster, memory_disk
from tests.sqlite import new_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a test's files are: in memory, for its commits wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="puna-accounts-", dir=memory_disk()) as folder:
        yield Path(folder)


@pytest.fixture
def empty_url(database: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a database without any table is, or will be."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'empty/puna.db'}"
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture
def url(database: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a fresh database with the newest schema is."""
    if database == "sqlite":
        yield new_url(folder)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    name = cluster.migrated()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hasher() -> PasswordHasher:
    """Argon2id as in earnest, but quick."""
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def world(store: Store, clock: ManualClock) -> World:
    """A tenant on a plan that has limits and prices, with a key and a ledger."""
    return World(store, clock)
