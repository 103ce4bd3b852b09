"""One server for all tests that leave it as they found it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Cluster, memory_disk
from tests.server.openai_client import closing
from tests.server.serving import Served, served
from tests.tiny import TinyLlama
from tests.tiny_tokenizer import CHAT_TEMPLATE


@pytest.fixture(autouse=True)
def clients_closed() -> Iterator[None]:
    with closing():
        yield


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyLlama(seed=1).write_gguf(tmp_path_factory.mktemp("served") / "tiny.gguf")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server"), tiny_path) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="session")
def postgres_server(
    tmp_path_factory: pytest.TempPathFactory, tiny_path: Path, cluster: Cluster
) -> Iterator[Served]:
    url = cluster.url(cluster.create())
    with served(tmp_path_factory.mktemp("postgres"), tiny_path, url=url) as running:
        running.wait_ready()
        yield running


FORMATS = {  # how each model's template says that calls are written
    "json": CHAT_TEMPLATE,
    "tags": CHAT_TEMPLATE + "{# <function=name>{}</function> #}",
    "python": CHAT_TEMPLATE + '{# [name(argument="value")] #}',
    "chatml": CHAT_TEMPLATE + "{# <tool_call> #}",
}


@pytest.fixture(scope="session")
def callers(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Served]:
    """A server with a tiny Llama for each way of writing calls, under that way's name."""
    folder = tmp_path_factory.mktemp("callers")
    for name, template in FORMATS.items():
        TinyLlama(seed=1, chat_template=template).write_gguf(folder / f"models/{name}/tiny.gguf")
    with served(folder, tiny_path) as running:
        running.wait_ready()
        yield running


DATABASES = ("sqlite", "postgresql")


def url_for(request: pytest.FixtureRequest) -> str | None:
    """An empty database of the kind that a fixture is for; None: SQLite in the server's folder."""
    if request.param == "sqlite":
        return None
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.url(cluster.create())


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a program's home is: in memory, for its commits wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="puna-server-", dir=memory_disk()) as folder:
        yield Path(folder)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """Where a database of each kind is, or will be; several programs may share it."""
    return url_for(request) or f"sqlite:///{folder}/accounts.db"


@pytest.fixture(params=["server", "postgres_server"], ids=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Served:
    """The same server on each database."""
    served: Served = request.getfixturevalue(request.param)
    return served


@pytest.fixture(scope="session")
def slow_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose longest answer takes seconds: none ends before its client hangs up."""
    return write_slow(tmp_path_factory.mktemp("slow"))


def write_slow(folder: Path) -> Path:
    """Write that model into a folder."""
    slow = TinyLlama(seed=1, hidden=256, intermediate=1024, layers=16, head_dim=64)
    return slow.write_gguf(folder / "slow.gguf")
