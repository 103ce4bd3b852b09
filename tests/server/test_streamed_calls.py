"""Calls are streamed as they are written, and OpenAI's helpers put the whole answer's together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.conftest import FORMATS
from tests.server.openai_client import client
from tests.server.serving import Served
from tests.server.streamed import gathered
from tests.server.weather import CLOCK, HELLO, WEATHER, strict

TOOLS = [strict(WEATHER), strict(CLOCK)]
FUNCTIONS: Any = [{"type": "function", **tool["function"]} for tool in TOOLS]


def request(form: str, **more: Any) -> Any:
    ask = {"model": form, "messages": HELLO, "tools": TOOLS, "tool_choice": "required"}
    return {**ask, "max_tokens": 850, **more}


def called(message: Any) -> list[tuple[str, str]]:
    return [(call.function.name, call.function.arguments) for call in message.tool_calls or ()]


@pytest.mark.parametrize("form", FORMATS)
def test_the_chats_helper_ends_with_the_whole_answers_calls(callers: Served, form: str) -> None:
    several = 0
    for seed in range(6):
        ask = request(form, seed=seed)
        whole = client(callers).chat.completions.create(**ask)
        if whole.choices[0].finish_reason == "length":  # which the helper refuses to parse
            continue
        with client(callers).chat.completions.stream(**ask) as stream:
            events = list(stream)
            final = stream.get_final_completion().choices[0]
        expected = called(whole.choices[0].message)
        assert called(final.message) == expected
        assert not final.message.content
        assert final.finish_reason == whole.choices[0].finish_reason == "tool_calls"
        assert len({call.id for call in final.message.tool_calls or ()}) == len(expected)
        done = [one for one in events if one.type == "tool_calls.function.arguments.done"]
        assert [(one.name, one.arguments) for one in done] == expected
        assert [one.parsed_arguments for one in done] == [json.loads(text) for _, text in expected]
        several += len(expected) > 1
    assert several


@pytest.mark.parametrize("form", FORMATS)
def test_arguments_come_in_pieces(callers: Served, form: str) -> None:
    named = {"type": "function", "function": {"name": "weather"}}
    ask = request(form, tool_choice=named, parallel_tool_calls=False, stream=True, seed=3)
    chunks = list(client(callers).chat.completions.create(**ask))
    deltas = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or ()]
    assert deltas[0].function.name == "weather"
    assert deltas[0].function.arguments == ""
    assert len(deltas) > 3
    [whole] = gathered(chunks)
    assert (len(whole.calls), whole.text, whole.reason) == (1, "", "stop")
    assert set(json.loads(whole.calls[0].function.arguments)) == {"city", "days"}


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_stream_has_the_cut_answers_calls_and_no_text(callers: Served, form: str) -> None:
    for limit in (3, 12, 20, 31, 47, 70, 101):
        ask = request(form, max_tokens=limit, seed=limit, n=2)
        wholes = client(callers).chat.completions.create(**ask).choices
        streamed = gathered(client(callers).chat.completions.create(**ask, stream=True))
        for whole, one in zip(wholes, streamed, strict=True):
            assert one.text == (whole.message.content or "") == ""
            assert one.reason == whole.finish_reason
            told = [(call.function.name, call.function.arguments) for call in one.calls]
            assert told == called(whole.message)


@pytest.mark.parametrize("form", FORMATS)
def test_the_responses_helper_ends_with_the_whole_answers_calls(callers: Served, form: str) -> None:
    ask: Any = {"model": form, "input": "hello there", "tools": FUNCTIONS, "temperature": 0}
    ask |= {"tool_choice": "required", "max_output_tokens": 850}
    whole = client(callers).responses.create(**ask)
    with client(callers).responses.stream(**ask) as stream:
        events = list(stream)
        final = stream.get_final_response()
    expected = [(item.name, item.arguments) for item in whole.output]
    assert expected
    assert [(item.name, item.arguments) for item in final.output] == expected  # type: ignore[union-attr]
    deltas = [one for one in events if one.type == "response.function_call_arguments.delta"]
    assert len(deltas) > 2 * len(expected)
    done: list[Any] = [one for one in events if one.type == "response.function_call_arguments.done"]
    assert [(one.name, one.arguments) for one in done] == expected


def test_a_call_under_way_is_seen_and_ended_as_incomplete(callers: Served) -> None:
    """Cut in the midst of its second call: the first is whole, the second is not."""
    tools: Any = [{**FUNCTIONS[0], "name": f"weather_{at}"} for at in range(2)]
    ask: Any = {"model": "python", "input": "hello", "tools": tools, "tool_choice": "required"}
    found = []
    for limit in range(30, 90, 7):
        events = list(client(callers).responses.create(**ask, max_output_tokens=limit, stream=True))
        last = events[-1].response
        assert events[-1].type == f"response.{last.status}"
        kinds = [item.status for item in last.output]
        assert kinds[:-1] == ["completed"] * (len(kinds) - 1)
        done = [one.item for one in events if one.type == "response.output_item.done"]
        assert [one.arguments for one in done] == [item.arguments for item in last.output]
        found.append(kinds[-1] if kinds else "none")
    assert "incomplete" in found


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_tools_that_are_not_allowed_are_heard_of_and_not_called(callers: Served, mode: str) -> None:
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "clock"}}]}
    choice: Any = {"type": "allowed_tools", "allowed_tools": allowed}
    for seed in range(3):
        ask = request("json", tool_choice=choice, seed=seed, max_tokens=300)
        answer = client(callers).chat.completions.create(**ask)
        names = [name for name, _ in called(answer.choices[0].message)]
        assert set(names) == ({"clock"} if mode == "required" else set())
    free = client(callers).chat.completions.create(**request("json", max_tokens=1))
    assert answer.usage
    assert free.usage
    assert answer.usage.prompt_tokens == free.usage.prompt_tokens
    named = [{"type": "function", "name": "clock"}]
    choice = {"type": "allowed_tools", "mode": mode, "tools": named}
    ask = {"model": "json", "input": "hello", "tools": FUNCTIONS, "max_output_tokens": 300}
    response = client(callers).responses.create(**ask, tool_choice=choice)
    kinds = {getattr(item, "name", item.type) for item in response.output}
    assert kinds == ({"clock"} if mode == "required" else {"message"})
    assert response.tool_choice.model_dump() == choice
