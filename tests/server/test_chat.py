"""The official client gets from /v1/chat/completions what OpenAI's server would give."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from tests.server import openai_client
from tests.server.serving import MODEL, Served
from tests.server.streamed import gathered
from tests.server.weather import CLOCK, HELLO, WEATHER


@pytest.fixture
def client(server: Served) -> openai.OpenAI:
    return openai_client.client(server)


def test_a_whole_answer_has_openais_shape(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_completion_tokens=5, seed=1, n=2
    )
    assert answer.object == "chat.completion"
    assert answer.system_fingerprint
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert {choice.finish_reason for choice in answer.choices} <= {"length", "stop"}
    assert answer.choices[0].logprobs is None
    assert answer.usage
    assert answer.usage.completion_tokens <= 10
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_same_seed_gives_the_same_stream(client: openai.OpenAI) -> None:
    def text() -> str:
        chunks = client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=12, seed=7, stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=12, seed=7)
    assert text() == text() == whole.choices[0].message.content


def test_usage_is_streamed_only_to_whoever_asks(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    plain = list(create(model=MODEL, messages=HELLO, max_tokens=3, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in plain)
    options: Any = {"include_usage": True}
    asked = list(
        create(model=MODEL, messages=HELLO, max_tokens=3, stream=True, stream_options=options)
    )
    assert all(chunk.usage is None for chunk in asked[:-1])
    assert asked[-1].choices == []
    assert asked[-1].usage
    assert asked[-1].usage.completion_tokens <= 3


@pytest.mark.parametrize("alternatives", [None, 0, 3])
def test_logprobs_have_the_alternatives_that_were_asked_for(
    client: openai.OpenAI, alternatives: int | None
) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        max_tokens=4,
        logprobs=True,
        top_logprobs=alternatives,
        temperature=0,
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs
    assert logprobs.content
    for token in logprobs.content:
        assert len(token.top_logprobs) == (alternatives or 0)
        assert token.logprob <= 0
        if alternatives:
            assert token.top_logprobs[0].logprob == token.logprob


@pytest.mark.parametrize("stream", [False, True])
def test_a_named_or_required_tool_is_called_whatever_the_model_would_say(
    client: openai.OpenAI, stream: bool
) -> None:
    named: Any = {"type": "function", "function": {"name": "weather"}}
    choices: list[tuple[Any, str]] = [(named, "stop"), ("required", "tool_calls")]
    for choice, reason in choices:
        more: Any = {"stream": True} if stream else {}
        tools = [WEATHER]
        answer: Any = client.chat.completions.create(
            model=MODEL,
            messages=HELLO,
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=False,
            max_tokens=400,
            seed=3,
            **more,
        )
        if stream:
            (streamed,) = gathered(answer)
            (call,) = streamed.calls
            assert (streamed.text, streamed.reason) == ("", reason)
        else:
            (call,) = answer.choices[0].message.tool_calls
            assert answer.choices[0].message.content is None
            assert answer.choices[0].finish_reason == reason
        assert call.function.name == "weather"
        arguments = json.loads(call.function.arguments)
        assert arguments["city"] in ("Bern", "Oslo")
        assert arguments["days"] in (1, 2)


def test_tool_choice_none_never_calls(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=[WEATHER, CLOCK], tool_choice="none", max_tokens=10
    )
    assert answer.choices[0].message.tool_calls is None


@pytest.mark.parametrize("seed", range(3))
def test_json_keeps_to_its_schema(client: openai.OpenAI, seed: int) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "grade": {"enum": ["a", "b"]}},
        "required": ["ok", "grade"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, response_format=form, max_tokens=200, seed=seed
    )
    verdict = json.loads(answer.choices[0].message.content or "")
    assert isinstance(verdict["ok"], bool)
    assert verdict["grade"] in ("a", "b")


def test_a_schema_that_cannot_be_enforced_is_refused(client: openai.OpenAI) -> None:
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "odd", "schema": {"type": "object", "not": {"type": "object"}}},
    }
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model=MODEL, messages=HELLO, response_format=form)
    assert refusal.value.code == "unsupported_grammar"


def test_what_does_not_fit_the_context_is_refused_with_both_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2048)
    assert refusal.value.code == "context_length_exceeded"
    assert "2048 tokens" in refusal.value.message


def test_a_stop_string_ends_the_answer_before_it(client: openai.OpenAI) -> None:
    def ask(**more: Any) -> Any:
        return client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=30, temperature=0, **more
        )

    text = ask().choices[0].message.content
    stop = text[3:5]
    answer = ask(stop=[stop])
    assert answer.choices[0].message.content == text[: text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_a_banned_token_does_not_come(server: Served, client: openai.OpenAI) -> None:
    def first(**more: Any) -> str:
        answer = client.completions.create(
            model=MODEL, prompt="hello", max_tokens=1, temperature=0, **more
        )
        return str(answer.choices[0].text)

    (llm,) = server.desk.known.values()
    likeliest = first()
    (token,) = llm.tokenize(likeliest)
    assert first(logit_bias={str(token): -100}) != likeliest


def test_many_streams_at_once_with_the_asynchronous_client(server: Served) -> None:
    async def ask(client: openai.AsyncOpenAI, seed: int) -> str:
        stream = await client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=20, seed=seed, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def many() -> list[str]:
        base_url = f"{server.url}/v1"
        async with openai.AsyncOpenAI(base_url=base_url, api_key=server.key) as client:
            return await asyncio.gather(*(ask(client, seed % 4) for seed in range(16)))

    texts = asyncio.run(many())
    assert len(set(texts)) <= 4
    assert texts[:4] == texts[4:8] == texts[12:]
