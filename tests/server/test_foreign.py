"""Every field that OpenAI documents is honoured, may be sent in vain, or is refused by name."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as Chat
from openai.types.completion_create_params import CompletionCreateParamsStreaming as Completion
from openai.types.embedding_create_params import EmbeddingCreateParams as Embedding
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming as Response

from puna.server.chat_request import ChatRequest
from puna.server.completion_request import CompletionRequest
from puna.server.embeddings import EmbeddingsRequest
from puna.server.fields import Body
from puna.server.responses.request import ResponseRequest
from tests.server.serving import MODEL, Served

ROUTES: dict[str, tuple[Any, type[Body], dict[str, Any]]] = {
    "/v1/chat/completions": (
        Chat,
        ChatRequest,
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2},
    ),
    "/v1/completions": (Completion, CompletionRequest, {"prompt": "x", "max_tokens": 2}),
    "/v1/embeddings": (Embedding, EmbeddingsRequest, {"input": "x"}),
    "/v1/responses": (Response, ResponseRequest, {"input": "x", "max_output_tokens": 2}),
}
ODD = {"some": ["thing", 7]}
PICTURE = {"url": "data:image/png;base64,iVBORw0KGgo="}
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"type": "image_url", "image_url": PICTURE}),
    ("/v1/chat/completions", {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
    ("/v1/chat/completions", {"type": "file", "file": {"file_id": "f"}}),
    ("/v1/responses", {"type": "input_image", "image_url": PICTURE["url"]}),
    ("/v1/responses", {"type": "input_file", "file_id": "f"}),
    ("/v1/responses", {"type": "input_audio", "input_audio": {}}),
]


def told(body: type[Body], what: str) -> list[str]:
    """The fields whose description begins with a word."""
    fields = body.model_json_schema()["properties"]
    return [name for name, one in fields.items() if one.get("description", "").startswith(what)]


def post(server: Served, path: str, **more: Any) -> httpx2.Response:
    body = {"model": MODEL, **ROUTES[path][2], **more}
    return httpx2.post(f"{server.url}{path}", json=body, headers=server.headers(), timeout=30)


@pytest.mark.parametrize("path", ROUTES)
def test_no_field_of_openais_is_passed_over_in_silence(path: str) -> None:
    theirs, ours, _ = ROUTES[path]
    known = {field.alias or name for name, field in ours.model_fields.items()}
    assert (theirs.__required_keys__ | theirs.__optional_keys__) - known == set()


@pytest.mark.parametrize("path", ROUTES)
def test_what_changes_nothing_may_be_anything(server: Served, path: str) -> None:
    names = told(ROUTES[path][1], "changes nothing")
    assert names
    sent = {name: "someone" if name == "user" else ODD for name in names}
    answer = post(server, path, **{**sent, "store": False})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ROUTES)
def test_what_is_refused_is_named_unless_it_is_null(server: Served, path: str) -> None:
    names = told(ROUTES[path][1], "refused")
    assert post(server, path, **dict.fromkeys(names)).status_code == 200
    for name in names:
        answer = post(server, path, **{name: ODD})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == name
        assert "is not accepted: " in answer.json()["error"]["message"]


@pytest.mark.parametrize(("path", "part"), OTHERS)
def test_a_part_that_is_no_text_is_refused_by_its_place(
    server: Served, path: str, part: dict[str, Any]
) -> None:
    words = {"type": "text", "text": "What is this?"}
    field = "input" if "responses" in path else "messages"
    for role in ("user", "assistant", "system"):
        said = [{"role": "user", "content": "x"}, {"role": role, "content": [words, part]}]
        error = post(server, path, **{field: said}).json()["error"]
        assert error["param"] == f"{field}.1.content.1"
        assert f"of the type {part['type']!r}, and this model reads text alone" in error["message"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_value")


def test_an_assistants_refusal_is_read_as_its_words(server: Served) -> None:
    refusal = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    plain = {"role": "assistant", "content": "No."}
    counted = []
    for turn in (refusal, plain):
        messages = [{"role": "user", "content": "x"}, turn, {"role": "user", "content": "why?"}]
        answer = post(server, "/v1/chat/completions", messages=messages)
        counted.append(answer.json()["usage"]["prompt_tokens"])
    assert counted[0] == counted[1]
