"""Exports over HTTP: taken out, brought back, and forged by strangers, on both databases."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from puna.accounts import Keys, Sessions, Users
from tests.server.serving import MODEL, Served
from tests.server.spoilt import SOUND, exports

CASES = 60  # on each database
ADDRESS = "exporter@example.org"
SHORT = {"max_tokens": 2, "temperature": 0.0}
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Person:
    """Somebody with a browser and a key."""

    page: httpx2.Client
    api: httpx2.Client

    def bring(self, data: bytes) -> httpx2.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return self.page.post("/web/import", content=data, headers=headers)

    def ids(self) -> list[str]:
        listed = self.api.get("/api/v1/conversations?limit=100").json()["conversations"]
        return [one["id"] for one in listed]

    def forget(self) -> None:
        assert self.page.delete("/web/conversations").status_code == 200
        for file in self.api.get("/api/v1/files").json()["files"]:
            self.api.delete(f"/api/v1/files/{file['id']}")


@pytest.fixture
def person(either: Served) -> Iterator[Person]:
    store = either.services.store
    users = Users(store)
    if ADDRESS not in [user.email for user in users.list()]:
        users.create(ADDRESS, "a long pass phrase")
    user = next(user for user in users.list() if user.email == ADDRESS)
    secret = Keys(store).create("exports", user=ADDRESS).secret
    cookies = {"puna_session": Sessions(store).create(user.id)}
    page = httpx2.Client(
        base_url=either.url, headers={"X-Puna": "page"}, cookies=cookies, timeout=60
    )
    api = httpx2.Client(base_url=either.url, headers=either.headers(secret), timeout=60)
    with page, api:
        person = Person(page, api)
        person.forget()
        yield person


def test_everything_goes_out_and_comes_back(person: Person) -> None:
    headers = {"X-File-Name": "rent.txt"}
    file = person.api.post(
        "/api/v1/files", content=b"The rent is due on Mondays.", headers=headers
    ).json()
    said = {"model": MODEL, "text": "When?", "files": [file["id"]], "parameters": SHORT}
    assert person.api.post("/api/v1/turns", json=said).status_code == 200
    archive = person.page.get("/web/export.zip")
    assert archive.headers["content-type"] == "application/zip"
    assert archive.headers["content-disposition"].endswith("puna.zip")
    assert person.api.get("/api/v1/export.zip").status_code == 200
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert "files/rent.txt" in opened.namelist()
    person.forget()
    assert person.bring(archive.content).json() == {"conversations": 1, "files": 1, "missing": 0}
    (conversation,) = person.ids()
    talk = person.api.get(f"/api/v1/conversations/{conversation}").json()
    (back,) = talk["messages"][0]["files"]
    original = person.page.get(f"/web/files/{back['id']}/original")
    assert original.content == b"The rent is due on Mondays."
    one = person.page.get(f"/web/conversations/{conversation}/export.zip")
    brought = person.api.post("/api/v1/import", content=one.content)
    assert (brought.status_code, brought.json()["conversations"]) == (201, 1)


def test_one_that_is_spoilt_keeps_all_out_and_is_named_with_its_place(person: Person) -> None:
    spoilt = {**SOUND, "messages": [{**SOUND["messages"][0], "text": 7}]}
    refused = person.bring(json.dumps([SOUND, SOUND, spoilt]).encode())
    assert refused.status_code == 400
    assert "2: messages.0.text" in refused.json()["error"]["message"]
    refused = person.api.post("/api/v1/import", content=json.dumps([SOUND, spoilt]).encode())
    assert refused.json()["error"]["code"] == "invalid_value"
    assert person.ids() == []


def test_a_spoilt_export_never_breaks_the_server(person: Person, either: Served) -> None:
    accepted = 0

    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(exports())
    def check(data: bytes) -> None:
        nonlocal accepted
        answer = person.bring(data)
        assert answer.status_code in (201, 400), (answer.status_code, answer.text, data)
        known = person.ids()
        assert len(known) == (answer.json()["conversations"] if answer.is_success else 0)
        for conversation in known:
            check_conversation(person, conversation, data)
            accepted += 1
        person.forget()

    assert person.bring(json.dumps(SOUND).encode()).status_code == 201
    check_conversation(person, person.ids()[0], b"")
    person.forget()
    check()
    assert accepted > CASES // 10
    either.wait_idle()


def check_conversation(person: Person, conversation: str, data: bytes) -> None:
    """Ask everything that there is of one conversation."""
    page, api = f"/web/conversations/{conversation}", f"/api/v1/conversations/{conversation}"
    talk = person.api.get(api)
    sound(talk, data)
    last = talk.json()["messages"][-1]["id"]
    for path in (f"/c/{conversation}", "/", "/web/conversations?q=rent", "/web/export.json"):
        sound(person.page.get(path), data)
    for kind in ("md", "json", "zip"):
        sound(person.page.get(f"{page}/export.{kind}"), data)
        sound(person.api.get(f"{api}/export.{kind}"), data)
    sound(person.api.get("/api/v1/conversations?q=mond"), data)
    sound(person.api.get(api, params={"before": last, "limit": 1}), data)
    sound(person.api.patch(api, json={"title": "x", "model": MODEL}), data)
    sound(person.page.patch(page, json={"preset": None}), data)
    for message in talk.json()["messages"]:
        sound(person.api.post(f"{api}/branch", json={"message": message["id"]}), data)
        sound(person.page.post(f"{page}/branch", json={"message": message["id"]}), data)
    for more in ({"text": "And then?"}, {"text": None}):
        said = {"conversation": conversation, "model": MODEL, "parameters": SHORT, **more}
        told = person.api.post("/api/v1/turns", json=said)
        sound(told, data)
        if told.is_success:
            check_told([json.loads(line) for line in told.text.splitlines()], data)


def sound(answer: httpx2.Response, data: bytes) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.text[:500], data)


def check_told(events: list[dict[str, Any]], data: bytes) -> None:
    """An answer may be refused, but never by our own mistake."""
    assert "something went wrong" not in json.dumps(events).lower(), (events, data)
    assert events[-1]["type"] == "left", data
