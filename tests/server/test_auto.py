"""A real model begins a call by itself: nothing forces the default model, it was shown two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from puna.config import Settings
from puna.errors import ModelNotFoundError
from puna.formats.store import ModelStore
from tests.server.openai_client import client
from tests.server.serving import MODEL, Served, served
from tests.server.streamed import gathered

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city today.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The default model, served."""
    try:
        path: Path = ModelStore(Settings.from_environment().home).find("smollm2")
    except ModelNotFoundError:
        pytest.skip("SmolLM2 is not in the model store; `puna pull smollm2` fetches it")
    with served(tmp_path_factory.mktemp("auto"), path) as server:
        server.wait_ready()
        yield server


def shown(number: int, city: str, sky: str) -> list[Any]:
    """An earlier question that was answered by a call."""
    function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    result = json.dumps({"sky": sky, "degrees": 10 + number})
    return [
        {"role": "user", "content": f"What is the weather in {city}?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call_{number}", "content": result},
        {"role": "assistant", "content": f"In {city} it is {sky}, {10 + number} degrees."},
    ]


EARLIER = [*shown(1, "Oslo", "cloudy"), *shown(2, "Lima", "sunny")]


def ask(server: Served, question: str, **more: Any) -> Any:
    messages = [*EARLIER, {"role": "user", "content": question}]
    body: Any = {"model": MODEL, "messages": messages, "tools": [WEATHER], "temperature": 0}
    return client(server).chat.completions.create(**body, max_tokens=48, **more)


@pytest.mark.parametrize(
    ("question", "city"), [("What is the weather in Cusco?", "Cusco"), ("And in Bern?", "Bern")]
)
def test_the_default_model_calls_where_a_call_is_wanted(
    smollm2: Served, question: str, city: str
) -> None:
    for choice in ({}, {"tool_choice": "auto"}):
        [streamed] = gathered(ask(smollm2, question, stream=True, **choice))
        [call] = streamed.calls
        assert (streamed.text, streamed.reason) == ("", "tool_calls")
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == {"city": city}


def test_the_same_model_speaks_where_none_is_wanted_or_allowed(smollm2: Served) -> None:
    for question, choice in (("Thank you!", "auto"), ("And in Bern?", "none")):
        [answer] = ask(smollm2, question, tool_choice=choice).choices
        assert answer.message.tool_calls is None
        assert answer.message.content
        assert answer.finish_reason == "stop"
