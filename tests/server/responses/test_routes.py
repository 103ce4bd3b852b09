"""/v1/responses with OpenAI's own client over a real socket."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.server.openai_client import client
from tests.server.serving import Served

SHORT: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_output_tokens": 6}
TOOL: Any = {
    "type": "function",
    "name": "look_up",
    "parameters": {
        "type": "object",
        "properties": {"on": {"type": "boolean"}},
        "required": ["on"],
        "additionalProperties": False,
    },
}


def test_a_response_is_made_kept_listed_and_deleted(server: Served) -> None:
    responses = client(server).responses
    made = responses.create(
        input="hello", instructions="it is one", metadata={"a": "b"}, top_p=0.5, **SHORT
    )
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.usage is not None
    assert made.usage.output_tokens == 6
    assert made.usage.total_tokens == made.usage.input_tokens + 6
    assert (made.metadata, made.instructions, made.top_p) == ({"a": "b"}, "it is one", 0.5)
    assert made.output_text
    assert responses.retrieve(made.id).model_dump() == made.model_dump()
    items = responses.input_items.list(made.id).data
    assert [item.model_dump()["content"][0]["text"] for item in items] == ["hello"]
    responses.delete(made.id)
    for gone in (responses.retrieve, responses.delete, responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            gone(made.id)


def test_a_later_turn_is_answered_as_the_whole_dialog_is(server: Served) -> None:
    api = client(server)
    first = api.responses.create(input="hello world", **SHORT)
    second = api.responses.create(input="the one", previous_response_id=first.id, **SHORT)
    said = api.chat.completions.create(
        model="tiny",
        temperature=0,
        max_completion_tokens=6,
        messages=[
            {"role": "user", "content": "hello world"},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "the one"},
        ],
    )
    assert second.output_text == said.choices[0].message.content
    assert second.usage is not None
    assert said.usage is not None
    assert second.usage.input_tokens == said.usage.prompt_tokens
    assert second.previous_response_id == first.id
    api.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError, match="deleted"):
        api.responses.create(input="and", previous_response_id=second.id, **SHORT)


def test_what_is_not_to_be_stored_is_not(server: Served) -> None:
    made = client(server).responses.create(input="hello", store=False, **SHORT)
    with pytest.raises(openai.NotFoundError):
        client(server).responses.retrieve(made.id)


def test_another_tenants_response_does_not_exist(server: Served) -> None:
    made = client(server).responses.create(input="hello", **SHORT)
    other = client(server, server.other_key).responses
    for ask in (other.retrieve, other.delete, other.cancel, other.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(made.id)
    with pytest.raises(openai.NotFoundError):
        other.create(input="hello", previous_response_id=made.id, **SHORT)


def test_a_stream_tells_every_change_in_openais_order(server: Served) -> None:
    events = list(client(server).responses.create(input="hello", stream=True, **SHORT))
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * deltas,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == said
    kept = client(server).responses.retrieve(last.response.id)
    assert kept.output_text == said


def test_the_text_comes_with_its_tokens_probabilities_if_they_are_asked_for(
    server: Served,
) -> None:
    api = client(server)
    ask: dict[str, Any] = {
        "input": "hello",
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
        **SHORT,
    }
    made = api.responses.create(**ask)
    assert made.top_logprobs == 2
    message = made.output[0]
    assert message.type == "message"
    part = message.content[0]
    assert part.type == "output_text"
    assert part.logprobs is not None
    said = api.chat.completions.create(
        model="tiny",
        temperature=0,
        max_completion_tokens=6,
        logprobs=True,
        top_logprobs=2,
        messages=[{"role": "user", "content": "hello"}],
    )
    assert said.choices[0].logprobs is not None
    expected = [one.model_dump() for one in said.choices[0].logprobs.content or ()]
    assert [one.model_dump() for one in part.logprobs] == expected
    assert len(expected) == 6
    events = list(api.responses.create(stream=True, **ask))
    streamed = [
        (one.token, one.logprob)
        for event in events
        if event.type == "response.output_text.delta"
        for one in event.logprobs
    ]
    assert streamed == [(one.token, one.logprob) for one in part.logprobs][: len(streamed)]
    done = next(event for event in events if event.type == "response.output_text.done")
    assert [one.token for one in done.logprobs] == [one.token for one in part.logprobs]
    plain = api.responses.create(input="hello", top_logprobs=2, **SHORT)
    assert plain.output[0].type == "message"
    assert plain.output[0].content[0].model_dump()["logprobs"] == []


def test_the_clients_own_stream_gathers_the_whole(server: Served) -> None:
    with client(server).responses.stream(input="hello", **SHORT) as stream:
        kinds = {event.type for event in stream}
    assert "response.output_text.delta" in kinds


def test_functions_are_called_and_their_results_read(server: Served) -> None:
    api = client(server)
    made = api.responses.create(
        model="tiny",
        input="hello",
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=400,
    )
    assert made.status == "completed"
    call = made.output[-1]
    assert call.type == "function_call"
    assert call.name == "look_up"
    assert set(json.loads(call.arguments)) == {"on"}
    after = api.responses.create(
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "one"}],
        previous_response_id=made.id,
        tools=[TOOL],
        tool_choice="none",
        **SHORT,
    )
    assert after.output_text


def test_a_call_is_streamed_as_openai_streams_it(server: Served) -> None:
    events = client(server).responses.create(
        model="tiny",
        input="hello",
        tools=[TOOL],
        tool_choice={"type": "function", "name": "look_up"},
        parallel_tool_calls=False,
        max_output_tokens=400,
        stream=True,
    )
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("function_call_arguments.delta")
    assert deltas > 1
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        *["function_call_arguments.delta"] * deltas,
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_a_schema_is_kept_to(server: Served) -> None:
    schema = {**TOOL["parameters"], "properties": {"on": {"enum": ["one", "it"]}}}
    made = client(server).responses.create(
        model="tiny",
        input="hello",
        text={"format": {"type": "json_schema", "name": "s", "schema": schema}},
        max_output_tokens=200,
    )
    assert json.loads(made.output_text)["on"] in {"one", "it"}


def test_a_response_under_way_is_cancelled_by_its_tenant(server: Served) -> None:
    api = client(server)
    long = {"type": "array", "items": {"type": "boolean"}, "minItems": 900}
    schema = {**TOOL["parameters"], "properties": {"on": long}}
    events = api.responses.create(
        model="tiny",
        input="hello",
        stream=True,
        text={"format": {"type": "json_schema", "name": "s", "schema": schema}},
    )
    begun = threading.Event()
    last: list[Any] = []
    for event in events:
        last.append(event)
        if event.type == "response.output_text.delta" and not begun.is_set():
            begun.set()
            with pytest.raises(openai.NotFoundError):
                client(server, server.other_key).responses.cancel(last[0].response.id)
            assert api.responses.cancel(last[0].response.id).status == "cancelled"
    assert last[-1].response.status == "cancelled"
    assert api.responses.retrieve(last[0].response.id).status == "cancelled"
    assert api.responses.cancel(last[0].response.id).status == "cancelled"
    whole = api.responses.create(input="hello", **SHORT)
    with pytest.raises(openai.BadRequestError, match="has ended"):
        api.responses.cancel(whole.id)
    server.wait_idle()


@pytest.mark.parametrize(
    "body",
    [
        {"input": []},
        {"input": [{"type": "reasoning"}]},
        {"input": [{"role": "tool", "content": "x"}]},
        {"input": "x", "conversation": "c"},
        {"input": "x", "include": ["message.output_text"]},
        {"input": "x", "top_logprobs": 21},
        {"input": "x", "truncation": "some"},
        {"input": "x", "prompt": {"id": "p"}},
        {"input": "x", "tool_choice": "required"},
        {"input": "x", "max_output_tokens": 0},
        {"input": "x", "metadata": {"a": 1}},
        {"input": "x", "text": {"format": {"type": "json_schema"}}},
    ],
)
def test_what_cannot_be_answered_is_a_400_in_openais_shape(
    server: Served, body: dict[str, Any]
) -> None:
    url = f"{server.url}/v1/responses"
    refused = httpx.post(url, json={"model": "tiny", **body}, headers=server.headers())
    assert refused.status_code == 400, refused.text
    assert set(refused.json()["error"]) == {"message", "type", "param", "code"}


def test_a_dialog_of_more_turns_than_are_read_is_refused(server: Served) -> None:
    api = client(server)
    turns: Any = [{"role": "user", "content": "a"}] * 1400
    first = api.responses.create(
        model="tiny", input=turns, truncation="auto", max_output_tokens=2, store=True
    )
    with pytest.raises(openai.BadRequestError, match="more than the 2048"):
        api.responses.create(
            model="tiny", input=turns, previous_response_id=first.id, max_output_tokens=2
        )


def test_it_is_charged_once_for_what_the_engine_counted(server: Served) -> None:
    before = len(server.charged())
    made = client(server, server.other_key).responses.create(input="hello", **SHORT)
    server.wait_idle()
    charges = server.charged()[before:]
    assert made.usage is not None
    assert [(c.outcome, c.prompt_tokens, c.completion_tokens) for c in charges] == [
        ("success", made.usage.input_tokens, 6)
    ]
