"""/v1/completions as a stream: its pieces are the whole answer's; usage comes when asked for."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.server.serving import MODEL, Served

PROMPT = {"model": MODEL, "prompt": "hello there", "max_tokens": 12, "ignore_eos": True}
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0},
    "seeded": {"temperature": 1.5, "seed": 7},
    "logprobs": {"temperature": 0, "logprobs": 3},
    "echo": {"temperature": 0, "echo": True},
    "echo with logprobs": {"temperature": 0, "echo": True, "logprobs": 2},
    "two choices": {"temperature": 1.5, "seed": 11, "n": 2, "logprobs": 0},
    "two prompts": {"prompt": ["one", "and two"], "temperature": 0, "n": 2, "logprobs": 1},
    "token ids": {"prompt": [[5, 6, 7], [9, 10]], "temperature": 0, "echo": True},
}


def post(server: Served, path: str = "/v1/completions", **body: Any) -> httpx2.Response:
    return httpx2.post(f"{server.url}{path}", json=body, headers=server.headers(), timeout=60)


def chunks(server: Served, **body: Any) -> list[dict[str, Any]]:
    answer = post(server, **body, stream=True)
    assert answer.status_code == 200, answer.text
    *events, done = answer.text.strip().split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events if event != ": ping"]


def joined(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the chunks together, choice by choice."""
    choices: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        for part in piece["choices"]:
            whole = choices.setdefault(
                part["index"],
                {"text": "", "index": part["index"], "logprobs": None, "finish_reason": None},
            )
            assert whole["finish_reason"] is None  # nothing comes after the end
            whole["text"] += part["text"]
            whole["finish_reason"] = part["finish_reason"]
            whole["logprobs"] = _longer(whole["logprobs"], part["logprobs"])
    return [choices[index] for index in sorted(choices)]


def _longer(before: dict[str, Any] | None, more: dict[str, Any] | None) -> dict[str, Any] | None:
    if before is None or more is None:
        return before or more
    return {
        name: None if values is None else values + more[name] for name, values in before.items()
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_streams_pieces_are_the_whole_answer(server: Served, way: str) -> None:
    body = {**PROMPT, **WAYS[way]}
    whole = post(server, **body).json()
    pieces = chunks(server, **body)
    assert joined(pieces) == whole["choices"]
    assert all(choice["finish_reason"] for choice in whole["choices"])
    assert len(pieces) > len(whole["choices"])  # it came in pieces
    assert {(one["object"], one["id"]) for one in pieces} == {("text_completion", pieces[0]["id"])}


def test_a_stream_ends_before_a_stop_as_the_whole_answer_does(server: Served) -> None:
    body: dict[str, Any] = {**PROMPT, "temperature": 0}
    text = post(server, **body).json()["choices"][0]["text"]
    middle = len(text) // 2
    body["stop"] = text[middle : middle + 3]
    whole = post(server, **body).json()["choices"]
    assert whole[0]["finish_reason"] == "stop"
    assert whole[0]["text"] == text[: text.index(body["stop"])] != ""
    assert joined(chunks(server, **body)) == whole


def test_usage_comes_last_with_no_choices_and_when_asked_for_alone(server: Served) -> None:
    body: dict[str, Any] = {**PROMPT, "temperature": 0}
    assert all("usage" not in piece for piece in chunks(server, **body))
    no_usage: tuple[dict[str, Any], ...] = ({}, {"include_usage": False})
    for options in no_usage:
        assert all("usage" not in piece for piece in chunks(server, **body, stream_options=options))
    *pieces, last = chunks(server, **body, stream_options={"include_usage": True})
    assert all(piece["usage"] is None and piece["choices"] for piece in pieces)
    assert last["choices"] == []
    whole = post(server, **body).json()["usage"]
    cached = {"prompt_tokens_details", "completion_tokens_details"}
    assert last["usage"].keys() == whole.keys() >= cached
    assert {**last["usage"], "prompt_tokens_details": None} == {
        **whole,
        "prompt_tokens_details": None,
    }


DIALOG = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
INPUT = {"model": MODEL, "input": "hello", "max_output_tokens": 16}


@pytest.mark.parametrize("stream", [None, False])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", PROMPT),
        ("/v1/chat/completions", DIALOG),
        ("/v1/responses", INPUT),
    ],
)
def test_options_of_a_stream_are_refused_where_there_is_none(
    server: Served, path: str, body: dict[str, Any], stream: bool | None
) -> None:
    refused = post(server, path, **body, stream=stream, stream_options={"include_usage": True})
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert refused.json()["error"]["param"] == "stream_options"
    assert post(server, path, **body, stream=stream, stream_options=None).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_there_may_be_128_choices_as_openai_has_it(server: Served, stream: bool) -> None:
    """Beyond what the engine computes at once they wait; they count as one request."""
    body = {**DIALOG, "n": 128, "ignore_eos": True}
    answer = post(server, "/v1/chat/completions", **body, stream=stream)
    assert answer.status_code == 200, answer.text
    if stream:
        events = answer.text.removesuffix("data: [DONE]\n\n").strip().split("\n\n")
        told = [json.loads(event.removeprefix("data: ")) for event in events]
        ended = [c["index"] for piece in told for c in piece["choices"] if c["finish_reason"]]
        assert sorted(ended) == list(range(128))
    else:
        choices = answer.json()["choices"]
        assert [choice["index"] for choice in choices] == list(range(128))
        assert answer.json()["usage"]["completion_tokens"] == 2 * 128
    server.wait_idle()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**DIALOG, "n": 129}),
        ("/v1/completions", {**PROMPT, "n": 129}),
        ("/v1/completions", {**PROMPT, "best_of": 21}),
        ("/v1/completions", {**PROMPT, "prompt": ["x"] * 17, "n": 128}),
    ],
)
def test_more_choices_are_refused(server: Served, path: str, body: dict[str, Any]) -> None:
    assert post(server, path, **body).status_code == 400
