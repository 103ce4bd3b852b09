"""JSON under a schema over HTTP: on every path it validates, or the request is refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import openai
import pytest

from tests.server.openai_client import client
from tests.server.serving import MODEL, Served
from tests.text.schemas import REFUSED, SCHEMAS, Schema
from tests.text.test_schemas import check

HELLO: Any = [{"role": "user", "content": "hello there"}]
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "streamed": {"stream": True},
    "two choices": {"n": 2},
    "two choices, streamed": {"n": 2, "stream": True},
    "stop strings": {"stop": ['"', ",", "1", "}"]},
    "logprobs": {"logprobs": True, "top_logprobs": 1},
    "penalties": {"presence_penalty": 1.0, "frequency_penalty": 0.5},
    "hot": {"temperature": 2.0, "stream": True},
}


def said(server: Served, schema: Schema, **more: Any) -> list[tuple[str, str]]:
    """Each choice's text and why it ended."""
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}
    body: dict[str, Any] = {"model": MODEL, "messages": HELLO, "max_tokens": 160, **more}
    answer = client(server).chat.completions.create(response_format=form, **body)  # type: ignore[call-overload]
    if not more.get("stream"):
        return [(one.message.content or "", one.finish_reason) for one in answer.choices]
    found: dict[int, tuple[str, str]] = {}
    for chunk in answer:
        for one in chunk.choices:
            text, reason = found.get(one.index, ("", ""))
            found[one.index] = text + (one.delta.content or ""), one.finish_reason or reason
    return [found[index] for index in sorted(found)]


def test_every_finished_answer_validates_whole_streamed_and_with_every_option(
    server: Served,
) -> None:
    """Peers take a schema and forget it on some of these paths (ollama 12362, omlx 1241)."""

    def ended(name: str, way: str, seed: int) -> list[tuple[str, str]]:
        answers = said(server, SCHEMAS[name], seed=seed, **WAYS[way])
        return [(name, text) for text, reason in answers if reason == "stop"]

    ways = list(WAYS)
    asked = [
        (name, ways[(at + turn) % len(ways)], at)
        for turn in range(2)
        for at, name in enumerate(SCHEMAS)
    ]
    with ThreadPoolExecutor(8) as pool:
        whole = [one for answers in pool.map(lambda one: ended(*one), asked) for one in answers]
    for name, text in whole:
        check(SCHEMAS[name], text)
    assert len(whole) > len(asked) // 2
    assert len({name for name, _ in whole}) > 0.8 * len(SCHEMAS)


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_cannot_be_enforced_is_refused_with_keyword_and_place(
    server: Served, name: str
) -> None:
    schema, place = REFUSED[name]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refusal:
            said(server, schema, stream=stream)
        assert refusal.value.code == "unsupported_grammar"
        assert refusal.value.param == "response_format"
        assert place in refusal.value.message


@pytest.mark.parametrize(
    "pattern", ["(" * 60_000, "(" * 900 + "a" + ")" * 900, "^+", "(a+)+$", "a{1000000000}", "["]
)
def test_a_hostile_pattern_is_refused_or_kept_to_and_the_server_lives(
    server: Served, pattern: str
) -> None:
    """llama.cpp 26600, 25283, 19008, 25308 crash on such; 19051 answers unconstrained."""
    schema = {"type": "string", "pattern": pattern, "maxLength": 20}
    with suppress(openai.BadRequestError):
        answers = said(server, schema)
        assert all(isinstance(json.loads(t), str) for t, reason in answers if reason == "stop")
    assert said(server, {"type": "boolean"})[0][0] in ("true", "false")


def test_json_and_tools_together_give_one_or_the_other(server: Served) -> None:
    tool = {"type": "function", "function": {"name": "clock"}}
    for seed in range(4):
        schema = {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}},
            "required": ["ok"],
            "additionalProperties": False,
        }
        form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
        answer = client(server).chat.completions.create(  # type: ignore[call-overload]
            model=MODEL,
            messages=HELLO,
            tools=[tool],
            response_format=form,
            seed=seed,
            max_tokens=200,
            parallel_tool_calls=False,
        )
        [choice] = answer.choices
        if choice.message.tool_calls:
            assert choice.message.tool_calls[0].function.name == "clock"
        else:
            check(schema, choice.message.content)
