"""/api/v1: a person's own conversations, with a key; nobody else's, and never by cookie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from puna.accounts import Keys, Links, Tenants, Users
from puna.server.assistant import ROUTERS
from tests.server.serving import MODEL, Served, served
from tests.server.web.house import OWNER

SHORT = {"max_tokens": 6, "temperature": 0.0}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, slow_path: Path) -> Iterator[Served]:
    """A server with an owner, Ana."""
    with served(tmp_path_factory.mktemp("assistant"), slow_path) as running:
        store = running.services.store
        links = Links(store, Users(store))
        links.accept(links.for_owner() or "", OWNER["email"], OWNER["password"], OWNER["name"])
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def ana(house: Served) -> Iterator[httpx2.Client]:
    """The owner, by the secret of the server's own machine."""
    with client(house, house.services.local_key.renew()) as ana:
        yield ana


@pytest.fixture(scope="module")
def ben(house: Served) -> Iterator[httpx2.Client]:
    """Somebody of another tenant, by a key of his own."""
    store = house.services.store
    tenant = Tenants(store).create("ben's", "paid")
    house.services.ledger.credit(tenant.id, 10**9)
    Users(store).create("ben@example.org", "another password", name="Ben", tenant=tenant.id)
    with client(house, Keys(store).create("ben", user="ben@example.org").secret) as ben:
        yield ben


def client(house: Served, secret: str) -> httpx2.Client:
    return httpx2.Client(base_url=f"{house.url}/api/v1", headers=house.headers(secret), timeout=30)


def said(client: httpx2.Client, text: str | None, **more: Any) -> list[dict[str, Any]]:
    """A whole turn's events."""
    body = {"text": text, "preset": "translator", "parameters": SHORT, **more}
    answer = client.post("/turns", json={k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 200, answer.text
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["x-puna-turn"] == events[0]["turn"]
    return events


def begun(client: httpx2.Client, text: str) -> str:
    conversation: str = said(client, text)[0]["conversation"]["id"]
    return conversation


def messages(client: httpx2.Client, conversation: str, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/conversations/{conversation}", params=query)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
    return found


def test_a_turn_is_told_line_by_line_and_kept(ana: httpx2.Client) -> None:
    events = said(ana, "hello there")
    assert [event["type"] for event in events if event["type"] != "text"] == [
        "begin",
        "end",
        "left",
    ]
    assert events[-2]["path"][-1]["outcome"] in ("complete", "length")
    told = "".join(event["text"] for event in events if event["type"] == "text")
    kept = messages(ana, events[0]["conversation"]["id"])
    assert [(one["role"], one["text"]) for one in kept] == [
        ("user", "hello there"),
        ("assistant", told.strip()),
    ]
    assert events[-2]["path"][-1]["id"] == kept[-1]["id"]
    assert events[-1]["left"]["share"] is None


def test_what_is_left_open_is_as_the_conversation_has_it(ana: httpx2.Client) -> None:
    conversation = said(ana, "one", preset="teacher", model=MODEL)[0]["conversation"]["id"]
    said(ana, "two", conversation=conversation, preset=None)
    said(ana, None, conversation=conversation, preset=None)
    talk = ana.get(f"/conversations/{conversation}").json()
    assert (talk["preset"], talk["model"], talk["running"]) == ("teacher", MODEL, None)
    assert [one["text"] for one in talk["messages"] if one["role"] == "user"] == ["one", "two"]
    assert len(talk["messages"][-1]["siblings"]) == 2
    page = messages(ana, conversation, limit=1, before=talk["messages"][2]["id"])
    assert [one["id"] for one in page] == [talk["messages"][1]["id"]]


def test_an_earlier_branch_is_chosen_again(ana: httpx2.Client) -> None:
    conversation = begun(ana, "first")
    first = messages(ana, conversation)[-1]
    said(ana, None, conversation=conversation)
    path = f"/conversations/{conversation}/branch"
    talk = ana.post(path, json={"message": first["id"]}).raise_for_status().json()
    assert talk["messages"][-1]["id"] == first["id"]


def test_an_answer_is_followed_by_another_and_stopped(ana: httpx2.Client) -> None:
    long = {"max_tokens": 900, "seed": 4, "temperature": 1.0}
    body = {"text": "go on", "preset": "translator", "parameters": long}
    with ana.stream("POST", "/turns", json=body) as running:
        lines = running.iter_lines()
        begin = json.loads(next(lines))
        next(lines)
        path = f"/conversations/{begin['conversation']['id']}"
        assert ana.get(path).json()["running"] == begin["turn"]
        again = ana.post("/turns", json={**body, "conversation": begin["conversation"]["id"]})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
        with ana.stream("GET", f"/turns/{begin['turn']}") as heard:
            assert json.loads(next(heard.iter_lines())) == begin
        assert ana.delete(f"/turns/{begin['turn']}").status_code == 204
        rest = [json.loads(line) for line in lines]
    assert rest[-2]["path"][-1]["outcome"] == "stopped"
    assert messages(ana, begin["conversation"]["id"])[-1]["text"]


def test_conversations_are_listed_found_renamed_taken_out_and_deleted(ana: httpx2.Client) -> None:
    conversation = begun(ana, "the heron stands in the reeds")
    listed = ana.get("/conversations", params={"limit": 1}).json()["conversations"]
    assert [one["id"] for one in listed] == [conversation]
    more = ana.get("/conversations", params={"limit": 1, "after": conversation}).json()
    assert more["conversations"][0]["id"] != conversation
    [found] = ana.get("/conversations", params={"q": "heron ree"}).json()["conversations"]
    assert (found["id"], "heron" in found["excerpt"]) == (conversation, True)
    path = f"/conversations/{conversation}"
    assert ana.patch(path, json={"title": "Birds"}).json()["title"] == "Birds"
    assert "the heron stands" in ana.get(f"{path}/export.md").text
    assert ana.get(f"{path}/export.json").json()["title"] == "Birds"
    assert ana.delete(path).status_code == 204
    assert ana.get(path).status_code == 404


def test_files_are_quoted_from(ana: httpx2.Client) -> None:
    name = {"X-File-Name": "b%C3%A4r.txt"}
    file = ana.post("/files", content=b"The bear sleeps in winter.", headers=name).json()
    assert file["name"] == "bär.txt"
    assert file in ana.get("/files").json()["files"]
    conversation = said(ana, "what does it do?", files=[file["id"]])[0]["conversation"]["id"]
    assert messages(ana, conversation)[0]["files"] == [{"id": file["id"], "name": "bär.txt"}]
    assert ana.delete(f"/files/{file['id']}").status_code == 204
    bad = ana.post("/files", content=b"\x00\x01", headers={"X-File-Name": "x.bin"})
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "invalid_value")


def test_what_a_person_may_choose_and_what_is_remembered(ana: httpx2.Client) -> None:
    me = ana.get("/me").json()
    assert (me["name"], me["owner"], me["model"], me["left"]["share"]) == (
        "Ana",
        True,
        MODEL,
        None,
    )
    [model] = ana.get("/models").json()["models"]
    assert (model["name"], model["default"]) == (MODEL, True)
    assert ana.get("/presets").json()["presets"][0]["id"] == "puna"
    assert "calculate" in [tool["name"] for tool in ana.get("/tools").json()["tools"]]
    fact = ana.post("/memory", json={"text": "likes herons"}).json()
    memory = ana.put("/memory", json={"enabled": False}).json()
    assert memory == {"enabled": False, "facts": [fact]}
    assert ana.post(f"/memory/{fact['id']}/confirm").json() == fact
    assert ana.delete(f"/memory/{fact['id']}").status_code == 204
    assert ana.get("/memory").json()["facts"] == []


def test_a_persons_key_opens_their_own_alone(ana: httpx2.Client, ben: httpx2.Client) -> None:
    theirs = begun(ana, "a secret of Ana's")
    own = begun(ben, "hello")
    assert ben.get("/me").json()["name"] == "Ben"
    assert [one["id"] for one in ben.get("/conversations").json()["conversations"]] == [own]
    path = f"/conversations/{theirs}"
    answers = [
        ben.get(path),
        ben.patch(path, json={"title": "mine"}),
        ben.delete(path),
        ben.get(f"{path}/export.md"),
        ben.post(f"{path}/branch", json={"message": messages(ana, theirs)[0]["id"]}),
        ben.post("/turns", json={"text": "x", "conversation": theirs}),
        ben.get("/conversations", params={"after": theirs}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert messages(ana, theirs)[0]["text"] == "a secret of Ana's"


def test_no_route_gives_anothers_object_away(ana: httpx2.Client, ben: httpx2.Client) -> None:
    conversation = begun(ana, "kept")
    name = {"X-File-Name": "kept.txt"}
    ids = {
        "conversation": conversation,
        "file": ana.post("/files", content=b"kept", headers=name).json()["id"],
        "fact": ana.post("/memory", json={"text": "kept"}).json()["id"],
        "turn": "none",
        "kind": "md",
    }
    message = messages(ana, conversation)[0]["id"]
    probes = 0
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute)
        if "{" not in route.path:
            continue
        path = route.path.removeprefix("/api/v1").format(**ids)
        for method in route.methods or ():
            answer = ben.request(method, path, json={"title": "taken", "message": message})
            harmless = (method, path) == ("DELETE", "/turns/none")  # ends one's own alone
            assert answer.status_code == (204 if harmless else 404), (method, path)
            probes += 1
    assert probes >= 9
    assert messages(ana, conversation)[0]["text"] == "kept"
    assert ana.delete(f"/files/{ids['file']}").status_code == 204
    assert ana.delete(f"/memory/{ids['fact']}").status_code == 204


def test_a_key_of_nobody_a_cookie_and_a_strange_secret_open_nothing(
    house: Served, ana: httpx2.Client
) -> None:
    user = Users(house.services.store).list()[0]
    with httpx2.Client(base_url=house.url, headers={"X-Puna": "page"}) as browser:
        who = {"email": OWNER["email"], "password": OWNER["password"]}
        assert browser.post("/web/login", json=who).status_code == 200
        assert browser.get("/web/conversations").status_code == 200  # the cookie is good
        for method, path in (("GET", "/me"), ("POST", "/turns"), ("GET", "/conversations")):
            answer = browser.request(method, f"/api/v1{path}", json={"text": "x"})
            assert answer.status_code == 401, path
    with client(house, house.key) as nobodys:
        refused = nobodys.get("/conversations")
        assert refused.status_code == 403
        assert "puna keys create NAME --user" in refused.json()["error"]["message"]
    with client(house, "puna_local_" + "a" * 43) as strange:
        assert strange.get("/me").status_code == 401
    secret = ana.headers["authorization"]
    models = httpx2.get(f"{house.url}/v1/models", headers={"Authorization": secret})
    assert models.status_code == 401  # it opens the assistant, not OpenAI's API
    assert user.email == OWNER["email"]


def test_no_other_site_is_let_in(house: Served, ana: httpx2.Client) -> None:
    foreign = {"Origin": "https://evil.example", "Access-Control-Request-Headers": "authorization"}
    asked = ana.options("/turns", headers={**foreign, "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in asked.headers
    assert ana.get("/me", headers={"Host": "evil.example"}).status_code == 421


def test_what_is_not_there_and_what_does_not_fit_is_said_in_the_apis_shape(
    ana: httpx2.Client,
) -> None:
    for answer, status in (
        (ana.get("/nothing"), 404),
        (ana.get("/conversations/con_none"), 404),
        (ana.get("/turns/none"), 404),
        (ana.post("/turns", json={"text": ""}), 400),
        (ana.post("/turns", json={}), 400),
        (ana.post("/turns", json={"text": "x", "parameters": {"temperature": 9}}), 400),
        (ana.get("/conversations", params={"limit": 0}), 400),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]
    [event, left] = [
        json.loads(line)
        for line in ana.post("/turns", json={"text": "x", "model": "nix"}).text.splitlines()
    ]
    assert (event["type"], left["type"]) == ("error", "left")
    assert "nix" in event["error"]["message"]
