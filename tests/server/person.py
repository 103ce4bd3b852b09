"""Somebody who has one of everything, with a secret in it.

In: a server, a name.  Out: ids of what is theirs, and every way in which they ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx2

from puna.accounts import Keys, Links, Tenants, Users
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.owner import Owner
from tests.server.serving import MODEL, Served

CANARY = "xqzcanary7319"


@dataclass
class Person:
    """Somebody of a tenant of their own, in a browser, with a key, and with one of their own."""

    server: Served
    name: str
    role: str = "member"
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        store = self.server.services.store
        tenant = Tenants(store).create(f"tenant of {self.name}", "paid")
        self.server.services.ledger.credit(tenant.id, 10**9)
        users = Users(store)
        self.web = httpx2.Client(base_url=self.server.url, headers={"X-Puna": "page"}, timeout=30)
        who = {"name": self.name, "email": f"{self.name}@example.org", "password": "long enough 1"}
        token = Links(store, users).invite(tenant.id, self.role)  # type: ignore[arg-type]
        assert self.web.post("/web/welcome", json={**who, "token": token}).status_code == 200
        user = next(u for u in users.list() if u.email == who["email"])
        self.owner = Owner(tenant.id, user.id)
        self.key = Keys(store).create(f"key of {self.name}", tenant.id)
        headers = self.server.headers(self.key.secret)
        self.keyed = httpx2.Client(base_url=self.server.url, headers=headers, timeout=30)
        self.ids |= {"tenant": tenant.id, "user": user.id, "key": self.key.key.id}
        own = Keys(store).create(f"own key of {self.name}", user=user.id).secret
        self.own = httpx2.Client(
            base_url=self.server.url, headers=self.server.headers(own), timeout=30
        )

    def api(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.keyed.request(method, path, **more)

    def leave(self) -> None:
        self.web.close()
        self.keyed.close()
        self.own.close()

    def person(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.own.request(method, path, **more)

    def page(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.web.request(method, path, **more)

    def settle_in(self, secret: str) -> None:
        """Have one of everything, with the secret in it."""
        assistant = Assistant(self.server.services.store)
        chat = assistant.conversations.create(self.owner, title=f"about {secret}")
        said = assistant.messages.say(self.owner, chat.id, None, f"I said {secret}")
        answer = assistant.messages.open_answer(self.owner, chat.id, said.id, model=MODEL)
        assistant.messages.finish(self.owner, answer.id, "complete", f"Yes, {secret}")
        preset = assistant.presets.create(self.owner, f"like {secret}", f"say {secret}")
        fact = assistant.memory.add(self.owner, f"likes {secret}")
        file = assistant.files.add(self.owner, f"{secret}.txt", f"It holds {secret}.".encode())
        body = {"model": MODEL, "input": f"about {secret}", "max_output_tokens": 2}
        response = self.api("POST", "/v1/responses", json=body).json()
        items = self.api("GET", f"/v1/responses/{response['id']}/input_items").json()
        self.ids |= {
            "conversation": chat.id,
            "message": answer.id,
            "preset": preset.id,
            "memory": fact.id,
            "file": file.id,
            "response": response["id"],
            "item": items["first_id"],
        }

    def belongings(self) -> list[Any]:
        """Everything, as its owner sees it."""
        export = self.web.get("/web/export.json").json()
        original = self.web.get(f"/web/files/{self.ids['file']}/original")
        pages = [self.web.get(page).text for page in ("/memory", "/settings")]
        response = self.api("GET", f"/v1/responses/{self.ids['response']}").json()
        return [export, original.content, *[CANARY in page for page in pages], response]
