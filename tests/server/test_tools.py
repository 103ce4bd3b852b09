"""Tools over HTTP: a choice of tool is kept to; calls are sound or told to be cut, never text."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from tests.server.openai_client import client
from tests.server.serving import MODEL, Served
from tests.server.streamed import gathered
from tests.server.weather import CLOCK, HELLO, WEATHER

NAMED: Any = {"type": "function", "function": {"name": "weather"}}


def function(parameters: Any, **more: Any) -> Any:
    return {"type": "function", "function": {"name": "odd", "parameters": parameters, **more}}


def ask(server: Served, **more: Any) -> Any:
    body = {"model": MODEL, "messages": HELLO, "tools": [WEATHER, CLOCK], **more}
    return client(server).chat.completions.create(**body)


def choices_of(server: Served, stream: bool, **more: Any) -> list[tuple[str, list[Any], str]]:
    """Text, calls and reason of each choice, whole or put together from a stream."""
    answer = ask(server, **more, **({"stream": True} if stream else {}))
    if not stream:
        return [
            (one.message.content or "", one.message.tool_calls or [], one.finish_reason)
            for one in answer.choices
        ]
    return [(one.text, one.calls, one.reason) for one in gathered(answer)]


def is_sound(call: Any) -> bool:
    """Whether the call's arguments are what its tool takes."""
    try:
        given = json.loads(call.function.arguments)
    except ValueError:
        return False
    if call.function.name == "clock":
        return bool(given == {})
    days = given.get("days")
    return given.get("city") in ("Bern", "Oslo") and type(days) is int and days in (1, 2)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", [1, 4, 9, 14, 20, 27, 35, 60, 120])
def test_however_short_an_answer_is_cut_a_required_call_is_never_text(
    server: Served, limit: int, stream: bool
) -> None:
    [(text, calls, reason)] = choices_of(
        server, stream, tool_choice="required", max_tokens=limit, seed=limit
    )
    assert text == ""
    assert reason in ("length", "tool_calls")
    assert all(is_sound(call) for call in calls[:-1])
    if reason == "tool_calls":
        assert calls
        assert is_sound(calls[-1])


def test_calls_that_were_whole_are_saved_from_a_cut_answer(server: Served) -> None:
    """A model that may not end its answer is cut in the midst of one call or another."""
    ask(server, max_tokens=1)
    (llm,) = server.desk.known.values()
    endless = {str(token): -100 for token in llm.tokenizer.stop_ids}
    found = [
        choices_of(
            server,
            stream=limit % 2 == 1,
            tools=[CLOCK],
            tool_choice="required",
            max_tokens=limit,
            seed=limit,
            logit_bias=endless,
        )[0]
        for limit in range(150, 250, 13)
    ]
    for text, calls, reason in found:
        assert (text, reason) == ("", "length")
        assert all(is_sound(call) for call in calls[:-1])
    assert any(len(calls) > 1 for _, calls, _ in found)


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_one_call_ends_the_answer_where_calls_may_not_be_parallel(
    server: Served, choice: Any
) -> None:
    for seed in range(4):
        [(text, calls, reason)] = choices_of(
            server,
            stream=False,
            tool_choice=choice,
            parallel_tool_calls=False,
            max_tokens=400,
            seed=seed,
        )
        assert (text, len(calls)) == ("", 1)
        assert is_sound(calls[0])
        assert reason == ("tool_calls" if choice == "required" else "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_calls_are_bounded(server: Served, stream: bool) -> None:
    found = choices_of(
        server, stream, tools=[CLOCK], tool_choice="required", max_tokens=1000, n=3, seed=1
    )
    assert len(found) == 3
    for text, calls, reason in found:
        assert (text, reason) == ("", "tool_calls")
        assert 1 <= len(calls) <= 16
        assert all(is_sound(call) for call in calls)
        assert len({call.id for call in calls}) == len(calls)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_does_not_cut_a_call_in_two(server: Served, stream: bool) -> None:
    """Clients send the same stop strings with everything; a call ends by itself."""
    [(text, calls, reason)] = choices_of(
        server,
        stream,
        tool_choice=NAMED,
        parallel_tool_calls=False,
        max_tokens=400,
        stop=["Oslo", "days", '"', "}"],
    )
    assert (text, reason) == ("", "stop")
    assert [is_sound(call) for call in calls] == [True]


def test_logprobs_of_a_call_cover_its_tokens(server: Served) -> None:
    answer = ask(
        server,
        tool_choice=NAMED,
        parallel_tool_calls=False,
        max_tokens=400,
        logprobs=True,
        top_logprobs=2,
    )
    [choice] = answer.choices
    assert is_sound(choice.message.tool_calls[0])
    assert len(choice.logprobs.content) == answer.usage.completion_tokens


def test_none_means_no_call_and_no_word_of_the_tools_to_the_model(server: Served) -> None:
    """Peers go on calling, or downgrade a forced choice to a free one (ollama 17921, omlx 2877)."""
    none = ask(server, tool_choice="none", max_tokens=8, seed=1)
    bare = client(server).chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, seed=1)
    assert none.choices[0].message.tool_calls is None
    assert none.choices[0].message.content == bare.choices[0].message.content
    assert bare.usage
    assert none.usage.prompt_tokens == bare.usage.prompt_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_auto_leaves_text_free(server: Served, stream: bool) -> None:
    [(text, calls, reason)] = choices_of(
        server, stream, tool_choice="auto", max_tokens=40, seed=2, logit_bias={}
    )
    assert text
    assert (calls, reason) == ([], "length")


def test_a_strict_tool_that_cannot_be_enforced_is_refused_by_name_and_place(
    server: Served,
) -> None:
    parameters = {"properties": {"tags": {"type": "array", "uniqueItems": True}}}
    for choice in ("auto", "required"):
        with pytest.raises(openai.BadRequestError) as refusal:
            ask(server, tools=[function(parameters, strict=True)], tool_choice=choice)
        assert refusal.value.param == "tools"
        assert "'odd'" in refusal.value.message
        assert '"uniqueItems" at #/properties/tags' in refusal.value.message
    answer = ask(
        server,
        tools=[function(parameters)],
        tool_choice="required",
        max_tokens=300,
        parallel_tool_calls=False,
        seed=1,
    )
    assert answer.choices[0].finish_reason in ("tool_calls", "length")


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": 7},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": {"a": {"type": "string", "pattern": "(" * 60_000}}},
        {"properties": {"a": {"type": "colour"}}},
        {"allOf": [{"type": "string"}]},
    ],
)
def test_a_malformed_tool_is_a_bad_request_and_nothing_else_suffers(
    server: Served, parameters: Any
) -> None:
    """A tool's pattern or type once took a peer's worker down for all (CVE-2025-48944)."""
    for choice in ("auto", "required"):
        with pytest.raises(openai.BadRequestError) as refusal:
            ask(server, tools=[function(parameters)], tool_choice=choice, max_tokens=5)
        assert refusal.value.param == "tools"
    assert ask(server, max_tokens=1).choices


def test_a_cut_call_of_a_response_is_incomplete(server: Served) -> None:
    tool: Any = {"type": "function", **WEATHER["function"]}
    answer: Any = client(server).responses.create(
        model=MODEL, input="hello", tools=[tool], tool_choice="required", max_output_tokens=14
    )
    assert answer.status == "incomplete"
    assert all(item.type == "function_call" for item in answer.output)
    assert all(item.status == "incomplete" for item in answer.output)


def test_hundred_tools_are_taken_in_again_at_once(server: Served) -> None:
    """An agent sends all its tools with every turn; the second time they cost nothing."""
    tools = [
        {"type": "function", "function": {**WEATHER["function"], "name": f"weather_{at}"}}
        for at in range(100)
    ]
    took = []
    for seed in range(2):
        begun = time.monotonic()
        with pytest.raises(openai.BadRequestError, match="context"):
            ask(server, tools=tools, max_tokens=1, seed=seed)
        took.append(time.monotonic() - begun)
    assert took[1] < 2
