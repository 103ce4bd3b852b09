"""What services keep, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from puna.accounts.store import Store
from tests.postgres import Cluster
from tests.sqlite import new_url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with ExitStack() as stack:
        if request.param == "postgresql":
            cluster: Cluster = request.getfixturevalue("cluster")
            name = cluster.migrated()
            stack.callback(cluster.drop, name)
            address = cluster.url(name)
        else:
            address = new_url(tmp_path)
        opened = Store.open(address)
        stack.callback(opened.close)
        yield opened
