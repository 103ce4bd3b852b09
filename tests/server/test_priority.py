"""A plan's priority reaches the engine: when it is full, who has the higher one goes first."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from puna.accounts import Tenants
from puna.server import ServerSettings
from tests.server.by_hand import chat_request
from tests.server.callers import LONG, Listener
from tests.server.process import keep_model
from tests.server.serving import Served, served
from tests.sqlite import new_url

SEQUENCES = 8  # that the served engine computes at once
ASKED, TOKENS = SEQUENCES, 80  # by who comes into the full engine


def plan(url: str, home: Path, name: str, priority: int) -> None:
    """Make one as an owner does."""
    command = [sys.executable, "-m", "puna", "plans", "create", name, "--priority", str(priority)]
    environment = {**os.environ, "PUNA_HOME": str(home), "PUNA_DATABASE": url}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def key_on(server: Served, plan_id: str) -> str:
    tenant = Tenants(server.services.store).create(f"of {plan_id}", plan_id)
    return server.services.keys.create("key", tenant.id).secret


def fill(server: Served, key: str, until: ExitStack) -> set[str]:
    """Ask for more than the engine computes at once; return the admissions once it speaks."""
    for _ in range(SEQUENCES + 2):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        until.enter_context(connection)
        connection.sendall(chat_request(key, {**LONG, "max_tokens": 1900}))
    while sum(one.completion_tokens > 0 for one in server.desk.counted().values()) < SEQUENCES:
        time.sleep(0.01)
    return set(server.desk.counted())


def said(server: Served, admissions: set[str]) -> int:
    """What the engine has said under these, as it counts itself."""
    counted = server.desk.counted()
    return sum(counted[one].completion_tokens for one in admissions)


@pytest.mark.parametrize(("priority", "stands_still"), [(5, True), (0, False)])
def test_the_higher_plan_gets_ahead_in_a_full_engine(
    tmp_path: Path, slow_path: Path, priority: int, stands_still: bool
) -> None:
    """Meanwhile the other stands still, which beside an equal it does not."""
    keep_model(tmp_path, "slow", slow_path)
    url = new_url(tmp_path)
    with served(tmp_path, slow_path, ServerSettings("slow"), url=url) as server:
        server.wait_ready()
        plan(url, tmp_path, "economy", 0)
        plan(url, tmp_path, "express", priority)
        express = key_on(server, "express")
        with ExitStack() as until:
            economy = fill(server, key_on(server, "economy"), until)
            before = said(server, economy)
            comers = [Listener(server.url, express, TOKENS) for _ in range(ASKED)]
            for comer in comers:
                comer.start()
            for comer in comers:
                comer.join(60)
            meanwhile = said(server, economy) - before
        assert [comer.tokens for comer in comers] == [TOKENS] * ASKED
        assert (meanwhile < ASKED * TOKENS / 2) == stands_still, meanwhile
        server.wait_idle()
