"""/health is red while the engine cannot say a token, and green again once it can."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine.model import Model
from puna.kernels.batch import Batch
from puna.llm import LLM
from puna.server import ServerSettings
from tests.server.serving import MODEL, Served, served

FRESH_S, PROBE_S = 0.2, 0.5
DIALOG = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}


class Patient:
    """A network that can fall ill; counts its passes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.illness = ""
        self.passes = 0
        self.cured = threading.Event()

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        self.passes += 1
        if self.illness == "raises":
            raise RuntimeError("a kernel failed")
        if self.illness == "is stuck":
            self.cured.wait(30)
        logits = self._model.forward(batch)
        return np.full_like(logits, np.nan) if self.illness == "gives NaN" else logits

    def cure(self) -> None:
        self.illness = ""
        self.cured.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Served]:
    limits = ServerSettings(MODEL, fresh_s=FRESH_S, probe_s=PROBE_S)
    with served(tmp_path_factory.mktemp("clinic"), tiny_path, limits) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def patient(clinic: Served) -> Iterator[Patient]:
    """Puts the patient in the place of the running engine's network."""
    (llm,) = clinic.desk.known.values()
    assert isinstance(llm, LLM)
    engine = llm._loop._engine
    healthy = engine._model
    patient = Patient(healthy)
    engine._model = patient
    yield patient
    patient.cure()
    clinic.wait_idle()
    engine._model = healthy


def health(server: Served) -> tuple[int, str]:
    answer = httpx2.get(f"{server.url}/health", timeout=30)
    told = answer.json()
    if answer.status_code == 503:
        assert answer.headers["retry-after"] == "1"
        assert told["status"] == "unavailable"
    return answer.status_code, told.get("reason", told["status"])


def ask(server: Served) -> httpx2.Response:
    url = f"{server.url}/v1/chat/completions"
    return httpx2.post(url, json=DIALOG, headers=server.headers(), timeout=30)


def test_a_silent_engine_computes_a_token_for_the_probe(clinic: Served, patient: Patient) -> None:
    for probes in (1, 2):
        time.sleep(1.5 * FRESH_S)
        assert health(clinic) == (200, "ok")
        assert patient.passes == probes


@pytest.mark.parametrize(
    ("illness", "reason"),
    [
        ("gives NaN", "the engine has failed"),
        ("raises", "the engine has failed"),
        ("is stuck", "the engine does not answer"),
    ],
)
def test_an_ill_engine_is_red_until_it_is_cured(
    clinic: Served, patient: Patient, illness: str, reason: str
) -> None:
    time.sleep(1.5 * FRESH_S)
    patient.illness = illness
    began = time.monotonic()
    assert health(clinic) == (503, reason)
    assert time.monotonic() - began < 4 * PROBE_S  # a supervisor does not wait for long either
    patient.cure()
    time.sleep(1.5 * FRESH_S)
    assert health(clinic) == (200, "ok")
    assert ask(clinic).status_code == 200


@pytest.mark.parametrize("illness", ["gives NaN", "raises"])
def test_answers_that_fail_are_no_sign_of_life(
    clinic: Served, patient: Patient, illness: str
) -> None:
    """However busy the server is: every one of its answers is an error."""
    patient.illness = illness
    over = threading.Event()

    def go_on() -> set[int]:
        answers = set()
        while not over.is_set():
            answers.add(ask(clinic).status_code)
        return answers

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(go_on) for _ in range(4)]
        time.sleep(1.5 * FRESH_S)
        told = [health(clinic)[0]]
        time.sleep(1.5 * FRESH_S)
        told.append(health(clinic)[0])
        over.set()
        assert set().union(*(one.result() for one in asking)) == {500}
    assert told == [503, 503]
