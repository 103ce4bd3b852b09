"""A running program, and people of two tenants who write a word of their own in every field.

In: the program, its home, its database.  Out: the words, and the secrets, to be searched for.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from puna.accounts import SCOPES, Keys, Ledger, Links, Store, Tenants, Users
from tests.server.canaries import BODIES, FAULTS, MODEL, Canaries, write
from tests.server.process import Puna

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
            httpx2.post(
                f"{self.url}{path}?q={write_('a query')}", headers={header: value}, timeout=60
            )
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
        file = httpx2.post(
            f"{self.url}/api/v1/files", content=text, headers=headers | named, timeout=60
        )
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
