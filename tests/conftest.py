"""One PostgreSQL for all tests that want one; each makes databases of its own in it.

Tests' folders lie in memory where there is room: every commit would wait for the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgres import Cluster, find_binaries, memory_disk

if (memory := memory_disk()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    binaries = find_binaries()
    if binaries is None:
        if os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail("PostgreSQL is wanted and not there: apt-get install postgresql")
        pytest.skip("PostgreSQL's binaries are not on this machine")
    cluster = Cluster(binaries)
    yield cluster
    cluster.close()
