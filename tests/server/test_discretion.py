"""What people write is in nobody's log: a word of its own in every field of every route.

Also keys, passwords and links: not in logs, arguments, children's environments, errors, metrics.
"""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from sqlalchemy import select

from puna.accounts import SCOPES, Keys, Ledger, Links, Store, Tenants, Users
from puna.accounts.backup import tables
from puna.server.discretion import Discreet
from tests.postgres import memory_disk
from tests.server.canaries import BODIES, FAULTS, MODEL, Canaries, held, write
from tests.server.process import Puna, keep_model

# Where what was written is kept on purpose; everywhere else it has no place.
KEPT = {"responses", "idempotency"}
KEPT_PREFIX = "assistant_"
SMALL_SERVER = Path(__file__).parents[1] / "services/assistant/tools/small_server.py"
EMAIL = "ann@example.org"


class Installation:
    """A running program, a person of one tenant and a person of another."""

    def __init__(self, puna: Puna, home: Path, database: str) -> None:
        self.puna, self.home, self.url = puna, home, puna.url
        self.canaries = Canaries()
        self.store = Store.open(database)
        tenant = Tenants(self.store).create("watched", "free")
        other = Tenants(self.store).create("other", "free")
        Ledger(self.store).credit(tenant.id, 10**6)
        keys = Keys(self.store)
        self.key = keys.create("watched", tenant.id, scopes=SCOPES).secret
        self.other_key = keys.create("other", other.id).secret
        self.spent_key = keys.create("revoked", tenant.id)
        keys.revoke(self.spent_key.key.id)
        self.secrets = {
            "key": self.key,
            "other key": self.other_key,
            "revoked key": self.spent_key.secret,
            "first key": puna.key(),
            "password": "correct horse 7 battery",
            "wrong password": "incorrect horse 8 battery",
            "owner's link": puna.owner_token(),
            "owner's password": "battery 9 staple horse",
            "invitation": Links(self.store, Users(self.store)).invite(tenant.id),
        }
        self.web, self.owners_web = self.browser(), self.browser()

    def browser(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"X-Puna": "page"}, timeout=60)

    def close(self) -> None:
        self.web.close()
        self.owners_web.close()
        self.store.close()

    def send_everything(self) -> None:
        self.send_api()
        self.send_raw()
        self.send_and_leave()
        self.send_pages()
        self.send_person_api()
        self.start_tools()

    def post(self, path: str, body: dict[str, Any], key: str = "") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx2.post(f"{self.url}{path}", json=body, headers=headers, timeout=60)

    def send_api(self) -> None:
        """Every field of every route, well formed and not."""
        for path, template in BODIES:
            answer = self.post(path, write(self.canaries, path, template))
            assert answer.status_code == 200, (path, template, answer.text)
        for path, template in FAULTS:
            answer = self.post(path, write(self.canaries, f"{path} (refused)", template))
            assert 400 <= answer.status_code < 500, (path, template, answer.text)

    def send_raw(self) -> None:
        """What is no good request at all."""
        path, write_ = "/v1/chat/completions", self.canaries.new
        said = write_("JSON that breaks off")
        dialog = {**MODEL, "messages": [{"role": "user", "content": said}]}
        whole = json.dumps(dialog).encode()
        bodies = [whole[:-3], whole.replace(b"quokka", b"\xff\xfe quokka"), b"[" * 5000 + whole]
        bodies += [whole + b" " * (5 << 20)]
        for body in bodies:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            httpx2.post(f"{self.url}{path}", content=body, headers=headers, timeout=60)
        for header in ("Authorization", "Cookie", "Content-Type", "User-Agent", "X-Api-Key"):
            value = write_(f"the header {header}")
            httpx2.post(f"{self.url}{path}?q={write_('a query')}", headers={header: value})
        for key in (self.spent_key.secret, self.key[:-1], self.key + "x"):
            assert self.post(path, dialog, key).status_code == 401
        for sent in (
            f"GET /health?{write_('no HTTP')} HTTP/9\r\n\r\n",
            f"{write_('noise')}\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2]))) as wire:
                wire.sendall(sent.encode())
                wire.recv(1000)

    def send_and_leave(self) -> None:
        """Hang up in the midst of a stream, and before an answer."""
        body = {**MODEL, "max_tokens": 1500, "ignore_eos": True}
        said = {"role": "user", "content": self.canaries.new("a stream that was left")}
        headers = {"Authorization": f"Bearer {self.key}"}
        url, dialog = f"{self.url}/v1/chat/completions", {**body, "messages": [said]}
        with (
            httpx2.Client(headers=headers) as client,
            client.stream("POST", url, json={**dialog, "stream": True}) as stream,
        ):
            next(stream.iter_lines())
        with pytest.raises(httpx2.TimeoutException):
            httpx2.post(url, json=dialog, headers=headers, timeout=0.05)

    def send_pages(self) -> None:
        """Everything that a person types, names or attaches."""
        new, web, password = self.canaries.new, self.web, self.secrets["password"]
        who = {"name": "Ann", "email": EMAIL, "password": password}
        welcome = {**who, "token": self.secrets["invitation"]}
        assert web.post("/web/welcome", json=welcome).status_code == 200
        wrong = {"email": who["email"], "password": self.secrets["wrong password"]}
        assert web.post("/web/login", json=wrong).status_code == 403
        text, bytes_ = f"It holds {new('a file')}.".encode(), "application/octet-stream"
        named = {"X-File-Name": quote(f"{new('a file name')}.txt"), "Content-Type": bytes_}
        file = web.post("/web/files", content=text, headers=named)
        assert file.status_code == 201, file.text
        broken = named | {"X-File-Name": quote(f"{new('the name of a broken file')}.pdf")}
        assert web.post("/web/files", content=b"%PDF-1.4 x", headers=broken).is_client_error
        preset = {"name": new("a preset's name"), "instructions": new("a preset's instructions")}
        kept = web.post("/web/presets", json=preset).json()
        web.post("/web/memory", json={"text": new("a memory")})
        said = {"kind": "say", "text": new("a message"), "model": "tiny"}
        told = web.post(
            "/web/turns", json={**said, "files": [file.json()["id"]], "preset": kept.get("id")}
        )
        assert told.status_code == 200, told.text
        web.get(f"/web/conversations?q={new('a search')}")
        web.post("/web/turns", json={"kind": new("a form"), "text": new("a refused message")})
        json_ = {"Content-Type": "application/json"}
        web.post("/web/turns", content=new("no JSON on a page").encode(), headers=json_)
        change = {"old": self.secrets["wrong password"], "new": self.secrets["password"] + "!"}
        assert web.post("/web/password", json=change).status_code == 403

    def send_person_api(self) -> None:
        """The same over the assistant's API, with a key of the person's own."""
        new = self.canaries.new
        key = self.secrets["person's key"] = Keys(self.store).create("a", user=EMAIL).secret
        text, bytes_ = f"It holds {new('an API file')}.".encode(), "application/octet-stream"
        named = {"X-File-Name": f"{new('an API file name')}.txt", "Content-Type": bytes_}
        headers = {"Authorization": f"Bearer {key}"}
        file = httpx2.post(f"{self.url}/api/v1/files", content=text, headers=headers | named)
        assert file.status_code == 201, file.text
        said = {"text": new("an API message"), "instructions": new("API instructions")}
        more = {"files": [file.json()["id"]], "parameters": {"max_tokens": 5}}
        assert self.post("/api/v1/turns", {**said, **MODEL, **more}, key).status_code == 200
        refused = {"text": new("a refused API message"), "parameters": new("API parameters")}
        assert self.post("/api/v1/turns", refused, key).status_code == 400
        assert self.post("/api/v1/memory", {"text": new("an API memory")}, key).status_code == 201
        search = {"q": new("an API search")}
        httpx2.get(f"{self.url}/api/v1/conversations", params=search, headers=headers)

    def start_tools(self) -> None:
        """Have the owner add a server of tools, which is a process of its own."""
        web, password = self.owners_web, self.secrets["owner's password"]
        who = {"name": "Own", "email": "own@example.org", "password": password}
        welcome = {**who, "token": self.secrets["owner's link"]}
        assert web.post("/web/welcome", json=welcome).status_code == 200
        server = {"name": "small", "command": f"{sys.executable} {SMALL_SERVER}"}
        assert web.post("/web/console/tools", json=server).status_code == 201
        while "Add two numbers" not in web.get("/console/tools").text:
            time.sleep(0.1)


@pytest.fixture(scope="module")
def installation(tiny_path: Path) -> Iterator[Installation]:
    with ExitStack() as stack:
        disk = tempfile.TemporaryDirectory(prefix="puna-discreet-", dir=memory_disk())
        home = Path(stack.enter_context(disk))
        database = f"sqlite:///{home}/accounts.db"
        keep_model(home, "tiny", tiny_path)
        puna = Puna(home, "tiny", database)
        stack.callback(puna.kill)
        puna.wait_ready()
        installation = Installation(puna, home, database)
        stack.callback(installation.close)
        installation.send_everything()
        yield installation


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
