"""What is refused says where the fault is and what to do, in OpenAI's shape."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from tests.server.serving import MODEL, Served

CHAT = "/v1/chat/completions"
DIALOG: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def error(
    server: Served, status: int, path: str = CHAT, method: str = "POST", **sent: Any
) -> dict[str, Any]:
    headers = {**server.headers(), **sent.pop("headers", {})}
    answer = httpx2.request(method, f"{server.url}{path}", headers=headers, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    told: dict[str, Any] = answer.json()["error"]
    assert told.keys() == {"message", "type", "param", "code"}
    return told


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_body_without_its_content_type_is_told_the_header(
    server: Served, kind: str | None
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    told = error(server, 400, content=b'{"model": "tiny"}', headers=headers)
    assert "Content-Type: application/json" in told["message"]
    assert told["code"] == "not_json"


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        (b'{"model": "tiny" "messages": []}', "line 1, column 18"),
        (b'{\n "model": "tiny",\n "messages": [}', "line 3, column 15"),
        ('{\n "häm": "é"\n'.encode(), "line 3, column 1"),
        (b'{"model": "\xff"}', "position 11 is not UTF-8"),
    ],
)
def test_json_that_is_none_is_told_its_place(server: Served, sent: bytes, place: str) -> None:
    told = error(server, 400, content=sent, headers={"Content-Type": "application/json"})
    assert place in told["message"]
    assert told["code"] == "invalid_json"
    assert told["param"] is None


def test_an_empty_body_is_told_so(server: Served) -> None:
    assert "is empty" in error(server, 400)["message"]


@pytest.mark.parametrize(
    ("fault", "param", "message"),
    [
        ({"messages": None}, "messages", "valid list"),
        (
            {"messages": [{"role": "user", "content": [PICTURE]}]},
            "messages.0.content.0",
            "image_url",
        ),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "string or a valid"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
            "required",
        ),
        ({"stop": 5}, "stop", "string or a valid list"),
        ({"stop": ["a", 5]}, "stop.1", "valid string"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"tool_choice": "required"}, None, "there are no tools"),
    ],
)
def test_a_field_that_does_not_fit_is_named_as_it_was_sent(
    server: Served, fault: dict[str, Any], param: str | None, message: str
) -> None:
    told = error(server, 400, json={**DIALOG, **fault})
    assert told["param"] == param
    assert message in told["message"]
    assert told["type"] == "invalid_request_error"


def test_what_is_missing_is_named(server: Served) -> None:
    assert error(server, 400, json={"model": MODEL})["param"] == "messages"
    assert error(server, 400, "/v1/embeddings", json={"model": MODEL})["param"] == "input"


def test_a_query_that_does_not_fit_is_named(server: Served) -> None:
    told = error(server, 400, "/v1/responses/resp_x/input_items?limit=many", "GET")
    assert told["param"] == "limit"


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "/v1/chat/completion", "POST /v1/chat/completions"),
        ("POST", "/chat/completions", "POST /v1/chat/completions"),
        ("GET", "/models", "GET /v1/models"),
        ("POST", "/api/embeddings", "POST /v1/embeddings"),
        ("POST", "/v1/audio/speech", "GET /v1/models, GET /v1/models/{model}"),
        ("GET", "/v1", "POST /v1/chat/completions"),
    ],
)
def test_a_wrong_address_is_told_what_there_is(
    server: Served, method: str, path: str, meant: str
) -> None:
    told = error(server, 404, path, method)
    assert meant in told["message"]
    assert told["code"] == "not_found"
    for there in re.findall(r"GET (/[\w/]*[\w])(?=[,?]|$)", told["message"]):
        assert httpx2.get(f"{server.url}{there}", headers=server.headers()).status_code != 404


def test_a_page_that_is_not_there_is_a_page(server: Served) -> None:
    answer = httpx2.get(f"{server.url}/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_a_wrong_method_is_told_the_right_one(server: Served) -> None:
    told = error(server, 405, CHAT, "GET")
    assert told["message"] == f"'{CHAT}' takes POST, not GET"
    assert told["code"] == "method_not_allowed"
