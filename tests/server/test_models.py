"""Several models behind one port, in memory for one: they take each other's place over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from puna.formats.store import ModelStore
from puna.llm.models import Models, ModelSettings
from puna.server import ServerSettings
from tests.server.callers import DIALOG
from tests.server.process import Puna, keep_model
from tests.server.serving import Served, served

MIB, CONTEXT, WAIT_S = 2**20, 1024, 0.5
NAMES = ("one", "two")


def keep(home: Path, model: Path) -> None:
    for name in NAMES:
        keep_model(home, name, model)


def size(home: Path) -> int:
    """What one of them takes in memory, in bytes."""
    with Models(ModelStore(home), ModelSettings(context_tokens=CONTEXT)) as models:
        return models.card("one").memory_bytes


class Narrow(Models):
    """Has room for one of them, and does not wait for long."""

    def __init__(
        self, store: ModelStore, settings: ModelSettings, aliases: Mapping[str, str | Path]
    ) -> None:
        super().__init__(store, replace(settings, wait_s=WAIT_S), aliases)
        self.budget_bytes = self.card("one").memory_bytes * 3 // 2


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, slow_path: Path) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("narrow")
    keep(home, slow_path)
    limits = ServerSettings("one", fresh_s=0.1)
    with served(home, slow_path, limits, CONTEXT, kind=Narrow) as running:
        running.wait_ready()
        yield running


def ask(url: str, key: str, model: str, max_tokens: int = 2) -> httpx2.Response:
    body = {**DIALOG, "model": model, "max_tokens": max_tokens}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)


@contextmanager
def speaking(url: str, key: str, model: str) -> Iterator[None]:
    """Keep a model busy."""
    body = {**DIALOG, "model": model, "max_tokens": 900, "stream": True}
    headers = {"Authorization": f"Bearer {key}"}
    with (
        httpx2.Client(headers=headers, timeout=60) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=body) as stream,
    ):
        lines = stream.iter_lines()  # kept: the stream ends with it
        next(lines)
        yield


def loaded(server: Served) -> list[str]:
    return [card.name for card in server.services.models.loaded()]


def test_an_idle_model_goes_for_the_one_that_is_asked_for(narrow: Served) -> None:
    for name in (*NAMES, *NAMES):
        assert ask(narrow.url, narrow.key, name).status_code == 200
        assert loaded(narrow) == [name]


def test_health_is_that_of_the_model_in_memory_and_loads_no_other(narrow: Served) -> None:
    assert ask(narrow.url, narrow.key, "two").status_code == 200
    for _ in range(2):
        time.sleep(0.2)  # silent for long enough to be asked for a token
        assert httpx2.get(f"{narrow.url}/health", timeout=30).status_code == 200
        assert loaded(narrow) == ["two"]


def test_beside_a_model_that_answers_another_is_refused_after_a_while(narrow: Served) -> None:
    assert ask(narrow.url, narrow.key, "one").status_code == 200
    with speaking(narrow.url, narrow.key, "one"):
        began = time.monotonic()
        refused = ask(narrow.url, narrow.key, "two")
        assert time.monotonic() - began >= WAIT_S
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "model_unavailable"
    assert "while one answer" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) >= 1
    narrow.wait_idle()
    assert loaded(narrow) == ["one"]
    assert ask(narrow.url, narrow.key, "two").status_code == 200


def test_the_program_keeps_to_its_budget_and_lets_a_request_wait_for_room(
    tmp_path: Path, slow_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, slow_path)
    monkeypatch.setenv("PUNA_MODELS_MIB", str(size(tmp_path) * 3 // 2 // MIB))
    monkeypatch.setenv("PUNA_CONTEXT", str(CONTEXT))
    puna = Puna(tmp_path, "one")
    try:
        puna.wait_ready()
        key = puna.key()
        with ThreadPoolExecutor(1) as pool:
            with speaking(puna.url, key, "one"):
                waiting = pool.submit(ask, puna.url, key, "two")
                time.sleep(0.3)
                assert not waiting.done()
                assert in_memory(puna, key) == 1
            assert waiting.result().status_code == 200, waiting.result().text
        assert in_memory(puna, key) == 1
    finally:
        puna.kill()


def in_memory(puna: Puna, key: str) -> float:
    """How many models its metrics count."""
    headers = {"Authorization": f"Bearer {key}"}
    text = httpx2.get(f"{puna.url}/metrics", headers=headers).text
    found = re.search(r"^\S*models_loaded (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])
