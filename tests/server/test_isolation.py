"""Whatever one tenant has an id for, another cannot read, change or delete, by any route."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from puna.accounts import Keys
from puna.server.app import ROUTERS
from puna.server.web.site import routes
from tests.server.conftest import DATABASES, url_for
from tests.server.person import CANARY, Person
from tests.server.serving import MODEL, Served, served

CLOSED = {401, 403, 404, 405}
SENT: dict[str, dict[str, object]] = {  # a body that the route takes, by the end of its path
    "/web/conversations/{conversation}": {"title": "taken"},
    "/web/conversations/{conversation}/branch": {"message": "{message}"},
    "/web/presets/{preset}": {"name": "taken", "instructions": "taken"},
    "/web/memory/{memory}": {"text": "taken"},
    "/api/v1/conversations/{conversation}": {"title": "taken"},
    "/api/v1/conversations/{conversation}/branch": {"message": "{message}"},
}
HARMLESS = {
    "/web/turns/{turn}",
    "/api/v1/turns/*",
}  # its DELETE says 204 to everybody, and ends one's own alone


@pytest.fixture(scope="module", params=DATABASES)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_path: Path
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("isolation")
    with served(folder, tiny_path, url=url_for(request)) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def ann(house: Served) -> Iterator[Person]:
    ann = Person(house, "ann")
    ann.settle_in(CANARY)
    yield ann
    ann.leave()


@pytest.fixture(scope="module")
def bob(house: Served) -> Iterator[Person]:
    bob = Person(house, "bob", "admin")
    bob.settle_in("nothing")
    yield bob
    bob.leave()


def filled(template: Any, ids: dict[str, str]) -> Any:
    """The same with ids in their places."""
    text = json.dumps(template)
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return json.loads(text)


def test_no_page_gives_anothers_object_away(ann: Person, bob: Person) -> None:
    before = ann.belongings()
    ids = {**ann.ids, "plan": "paid", "format": "json", "model": MODEL, "server": "srv_none"}
    said = {"kind": "say", "text": "go on for long", "model": MODEL}
    with ann.web.stream("POST", "/web/turns", json=said) as running:
        ids["turn"] = json.loads(next(running.iter_lines()))["turn"]
        probes = 0
        for route in routes():
            assert isinstance(route, Route)
            if route.path.startswith("/static") or "{" not in route.path:
                continue
            for method in sorted(route.methods or ()):
                body = filled(SENT.get(route.path, {}), ids)
                answer = bob.web.request(method, filled(route.path, ids), json=body)
                assert CANARY not in answer.text + str(answer.headers), route.path
                harmless = route.path in HARMLESS and answer.status_code == 204
                assert answer.status_code in CLOSED or harmless, (route.path, answer.status_code)
                probes += 1
        assert probes > 25
    assert ann.web.delete(f"/web/turns/{ids['turn']}").status_code == 204
    ann.server.wait_idle()
    after = ann.belongings()
    kept = [one for one in after[0] if one["title"] == f"about {CANARY}"]
    assert [kept, *after[1:]] == before
    assert Keys(ann.server.services.store).verify(ann.key.secret)


def test_no_body_or_query_reaches_anothers_object(ann: Person, bob: Person) -> None:
    before = ann.belongings()
    own = f"/web/conversations/{bob.ids['conversation']}"
    theirs: dict[str, object] = {"kind": "again", "parent": "{message}"}
    bodies: list[tuple[str, str, dict[str, object]]] = [
        ("POST", "/web/turns", {"kind": "say", "text": "x", "conversation": "{conversation}"}),
        ("POST", "/web/turns", {**theirs, "conversation": "{conversation}"}),
        ("POST", "/web/turns", {**theirs, "conversation": bob.ids["conversation"]}),
        ("POST", "/web/turns", {"kind": "say", "text": "what is in it", "files": ["{file}"]}),
        ("POST", "/web/turns", {"kind": "say", "text": "x", "preset": "{preset}"}),
        ("PATCH", own, {"preset": "{preset}"}),
        ("POST", f"{own}/branch", {"message": "{message}"}),
        ("GET", f"/web/conversations?q={CANARY}", {}),
        ("GET", "/web/conversations?q={conversation}", {}),
        ("GET", "/web/export.json", {}),
        ("GET", "/", {}),
        ("GET", "/memory", {}),
        ("GET", "/settings", {}),
        ("GET", "/plan", {}),
        ("GET", "/console/usage.csv?tenant={tenant}&key={key}", {}),
    ]
    for method, path, body in bodies:
        sent = filled(body, ann.ids) | ({"model": MODEL} if path == "/web/turns" else {})
        answer = bob.web.request(method, filled(path, ann.ids), json=sent or None)
        assert CANARY not in answer.text, (path, body)
        if "{" in json.dumps(body)[1:]:
            refused = answer.status_code in CLOSED
            assert refused or '"error"' in answer.text, (path, body, answer.text[:500])
    assert ann.belongings() == before


def test_no_response_of_the_api_is_anothers(ann: Person, bob: Person) -> None:
    theirs, before = f"/v1/responses/{ann.ids['response']}", ann.belongings()
    body = {"model": MODEL, "input": "and?", "previous_response_id": ann.ids["response"]}
    own = f"/v1/responses/{bob.ids['response']}"
    answers = [
        bob.api("GET", theirs),
        bob.api("DELETE", theirs),
        bob.api("POST", f"{theirs}/cancel"),
        bob.api("GET", f"{theirs}/input_items"),
        bob.api("GET", f"{theirs}/input_items?after={ann.ids['item']}"),
        bob.api("GET", f"{own}/input_items?after={ann.ids['item']}"),
        bob.api("POST", "/v1/responses", json=body),
        bob.api("POST", "/v1/responses", json={**body, "stream": True}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert CANARY not in "".join(answer.text for answer in answers)
    assert ann.belongings() == before


# Where else an id may stand ("*"), by whoever sends it: bodies and queries.
SAY: dict[str, object] = {"kind": "say", "text": "x", "model": MODEL}
AGAIN: dict[str, object] = {"kind": "again", "model": MODEL}
RESPOND: dict[str, object] = {"model": MODEL, "input": "x", "max_output_tokens": 1}
ELSEWHERE: list[tuple[str, str, dict[str, object]]] = [
    ("POST", "/web/turns", {**SAY, "conversation": "*"}),
    ("POST", "/web/turns", {**SAY, "conversation": "{conversation}", "parent": "*"}),
    ("POST", "/web/turns", {**SAY, "files": ["*"]}),
    ("POST", "/web/turns", {**SAY, "preset": "*"}),
    ("POST", "/web/turns", {**SAY, "model": "*"}),
    ("POST", "/web/turns", {**AGAIN, "conversation": "*", "parent": "{message}"}),
    ("POST", "/web/turns", {**AGAIN, "conversation": "{conversation}", "parent": "*"}),
    ("PATCH", "/web/conversations/{conversation}", {"preset": "*"}),
    ("PATCH", "/web/conversations/{conversation}", {"model": "*"}),
    ("POST", "/web/conversations/{conversation}/branch", {"message": "*"}),
    ("POST", "/web/presets", {"name": "a", "instructions": "b", "tools": ["*"]}),
    ("GET", "/web/conversations?q=*", {}),
    ("GET", "/web/conversations?after=*", {}),
    ("GET", "/console/usage.csv?tenant=*", {}),
    ("GET", "/console/usage.csv?key=*", {}),
    ("POST", "/web/console/keys", {"name": "a", "tenant": "*"}),
    ("POST", "/web/console/users", {"tenant": "*", "role": "admin"}),
    ("POST", "/v1/responses", {**RESPOND, "previous_response_id": "*"}),
    ("POST", "/v1/responses", {**RESPOND, "previous_response_id": "*", "stream": True}),
    ("POST", "/v1/responses", {**RESPOND, "conversation": "*"}),
    ("POST", "/v1/responses", {**RESPOND, "input": [{"type": "item_reference", "id": "*"}]}),
    ("GET", "/v1/responses/{response}/input_items?after=*", {}),
    ("GET", "/v1/responses/{response}/input_items?before=*", {}),
]


def own_things() -> Iterator[tuple[str, str, dict[str, object]]]:
    """Every address of the assistant's API that names a thing which lasts."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path
            if path.startswith("/api/v1") and "{" in path and "{turn}" not in path:
                yield from ((method, path, SENT.get(path, {})) for method in route.methods or ())


def places() -> Iterator[tuple[str, str, dict[str, object]]]:
    """Every place of every route that takes an id."""
    api = [route for router in ROUTERS for route in router.routes]
    for route in [*routes(), *api]:
        assert isinstance(route, Route | APIRoute)
        for name in re.findall(r"{(\w+)(?::path)?}", route.path):
            path = re.sub(f"{{{name}(:path)?}}", "*", route.path)
            if not path.startswith("/static"):
                for method in sorted(route.methods or ()):
                    yield method, path, SENT.get(route.path, {})
    yield from ELSEWHERE


def test_a_persons_key_opens_their_own_things_and_nobody_elses(ann: Person) -> None:
    """That each of these addresses does answer somebody: to another's id it then says 404."""
    dee, before, opened = Person(ann.server, "dee" + ann.owner.tenant_id[-4:]), ann.belongings(), 0
    dee.settle_in("nothing")
    more = {"kind": "json", "fact": dee.ids["memory"]}
    own, theirs = {**dee.ids, **more}, {**ann.ids, **more, "fact": ann.ids["memory"]}
    for method, path, body in sorted(
        own_things(), key=lambda probe: (probe[0] == "DELETE", probe[1])
    ):
        closed = dee.person(method, filled(path, theirs), json=filled(body, own) or None)
        assert closed.status_code == 404, (method, path, closed.text)
        assert CANARY not in closed.text + str(closed.headers)
        answer = dee.person(method, filled(path, own), json=filled(body, own) or None)
        assert answer.is_success, (method, path, answer.text)
        opened += 1
    assert opened == 8
    dee.leave()
    assert ann.belongings() == before


def ways(path: str, admin: Person, member: Person) -> list[Any]:
    """Who may ask there at all, each by what opens such addresses: a stranger proves nothing."""
    if path.startswith("/v1"):
        return [admin.api]
    if path.startswith("/api/v1"):
        return [admin.person, member.person]
    return [admin.page, member.page]


def test_no_id_in_any_place_reads_or_changes_anothers(ann: Person, bob: Person) -> None:
    """Also an id of another kind, by an admin, a member and a key: over a thousand probes."""
    before, probes, rude = ann.belongings(), 0, []
    member = Person(ann.server, "cem" + bob.owner.tenant_id[-4:])
    own = {**bob.ids, "plan": "paid", "format": "json", "model": MODEL, "server": "s", "turn": "t"}
    own |= {"kind": "json"}
    for method, path, body in places():
        for name, value in ann.ids.items():
            for way in ways(path, bob, member):
                sent = filled(json.loads(json.dumps(body).replace("*", value)), own)
                answer = way(method, filled(path, own).replace("*", value), json=sent or None)
                probes += 1
                assert CANARY not in answer.text + str(answer.headers), (path, name)
                if path.startswith("/api/v1") and path not in HARMLESS:
                    assert answer.status_code in (400, 404), (method, path, name, answer.text)
                rude += [(method, path, name)] if answer.status_code >= 500 else []
    assert rude == []
    assert probes > 1000
    member.leave()
    ann.server.wait_idle()
    assert ann.belongings() == before
