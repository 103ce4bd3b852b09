"""What people write is in nobody's log: a word of its own in every field of every route.

Also keys, passwords and links: not in logs, arguments, children's environments, errors, metrics.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from puna.accounts.backup import tables
from puna.server.discretion import Discreet
from tests.postgres import Cluster, memory_disk
from tests.server.canaries import BODIES, FAULTS, Canaries, held, write
from tests.server.conftest import DATABASES, url_for
from tests.server.installation import Installation
from tests.server.process import Puna, keep_model

# Where what was written is kept on purpose; everywhere else it has no place.
KEPT = {"responses", "idempotency"}
KEPT_PREFIX = "assistant_"


@pytest.fixture(scope="module", params=DATABASES)
def installation(request: pytest.FixtureRequest, tiny_path: Path) -> Iterator[Installation]:
    with ExitStack() as stack:
        disk = tempfile.TemporaryDirectory(prefix="puna-discreet-", dir=memory_disk())
        home = Path(stack.enter_context(disk))
        database = url_for(request) or f"sqlite:///{home}/accounts.db"
        keep_model(home, "tiny", tiny_path)
        puna = Puna(home, "tiny", database)
        stack.callback(puna.kill)
        puna.wait_ready()
        installation = Installation(puna, home, database)
        stack.callback(installation.close)
        installation.send_everything()
        yield installation


def test_the_database_s_own_log_does_not_hold_it(
    request: pytest.FixtureRequest, installation: Installation
) -> None:
    if installation.store.is_sqlite:
        pytest.skip("SQLite keeps no log")
    cluster: Cluster = request.getfixturevalue("cluster")
    log = (cluster.folder / "log").read_text()
    assert "database system is ready" in log
    assert installation.canaries.found_in(log) == set()
    assert held(log, installation.secrets) == set()


def test_no_log_holds_what_people_wrote(installation: Installation) -> None:
    log = installation.puna.log.read_text()
    assert log.count("'/v1/chat/completions' 200") >= 4  # the log is there, and of these requests
    assert "'/web/turns' 200" in log
    everything = log + installation.puna.said.read_text()
    assert installation.canaries.found_in(everything) == set()
    shown = {"first key", "owner's link"}  # at the first start, to the owner's terminal
    assert held(everything, installation.secrets) == shown
    assert held(log, installation.secrets) == set()


def test_neither_metrics_nor_files_nor_processes_hold_it(installation: Installation) -> None:
    headers = {"Authorization": f"Bearer {installation.key}"}
    metrics = httpx2.get(f"{installation.url}/metrics", headers=headers)
    assert "puna_tokens_predicted_total" in metrics.text
    texts = {"metrics": metrics.text}
    for path in installation.home.rglob("*"):
        if path.is_file() and "accounts.db" not in path.name and path != installation.puna.said:
            texts[str(path)] = path.read_bytes().decode("latin-1")
    for pid in family(installation.puna.process.pid):
        for name in ("cmdline", "environ"):
            if name == "cmdline" or pid != installation.puna.process.pid:
                texts[f"{pid} {name}"] = Path(f"/proc/{pid}/{name}").read_text()
    assert any("small_server" in text for text in texts.values())
    for place, text in texts.items():
        assert installation.canaries.found_in(text) == set(), place
        assert held(text, installation.secrets) == set(), place
        if place.endswith("environ"):
            assert "PUNA_DATABASE" not in text, "a child knows the database's password"


def test_a_crash_of_the_server_leaves_no_core(installation: Installation) -> None:
    limits = Path(f"/proc/{installation.puna.process.pid}/limits").read_text()
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core")]
    assert core[4] == "0"


def test_other_tenants_hear_nothing_of_it(installation: Installation) -> None:
    own = Canaries("wombat")
    answers = [
        installation.post(path, write(own, path, template), installation.other_key)
        for path, template in [*BODIES, *FAULTS]
    ]
    headers = {"Authorization": f"Bearer {installation.other_key}"}
    paths = ("/v1/models", "/v1/usage", "/metrics", "/v1/responses/resp_none")
    answers += [httpx2.get(f"{installation.url}{path}", headers=headers) for path in paths]
    for answer in answers:
        text = f"{answer.headers} {answer.text}"
        assert installation.canaries.found_in(text) == set()
        assert held(text, installation.secrets) == set()


def test_only_what_keeps_conversations_keeps_their_words(installation: Installation) -> None:
    """Audit, ledger, keys and sessions hold no prompt; no secret stands anywhere in the open."""
    kept: set[str] = set()
    with installation.store.engine.connect() as connection:
        for table in tables(connection):
            rows = "\n".join(repr(tuple(row)) for row in connection.execute(select(table)))
            assert held(rows, installation.secrets) == set(), table.name
            found = installation.canaries.found_in(rows)
            if table.name in KEPT or table.name.startswith(KEPT_PREFIX):
                kept |= found
            else:
                assert found == set(), table.name
    assert {"a message", "a file", "/v1/responses.input"} <= kept  # we look where words are


def test_an_unforeseen_error_is_logged_without_its_words() -> None:
    formatter, canary = Discreet(), "quokka"
    try:
        try:
            int(canary)
        except ValueError as error:
            raise KeyError(canary) from error
    except KeyError:
        record = logging.LogRecord(
            "puna", logging.ERROR, __file__, 1, "a request failed", (), sys.exc_info()
        )
    told = formatter.format(record)
    assert "a request failed" in told
    assert "builtins.ValueError" in told
    assert "builtins.KeyError" in told
    assert "test_discretion.py" in told
    assert canary not in told.replace("canary", "")


def family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    found = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return [pid, *(one for child in found for one in family(int(child)))]
