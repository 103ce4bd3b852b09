"""OpenAI's client for JavaScript gets from the server what it expects."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import FORMATS
from tests.server.serving import MODEL, Served

CLIENT = Path(__file__).parents[2] / "build" / "openai"
SCRIPT = Path(__file__).with_name("client.mjs")


@pytest.fixture(scope="module")
def came(callers: Served) -> Any:
    """What the script of the client's calls printed."""
    if shutil.which("npm") is None:
        pytest.skip("no npm to fetch OpenAI's client with")
    assert CLIENT.exists(), "no client: `.ci/vendor openai` fetches it"
    script = subprocess.run(
        ["node", str(SCRIPT), str(CLIENT), f"{callers.url}/v1", MODEL, *FORMATS],
        env={"PATH": os.environ["PATH"], "OPENAI_API_KEY": callers.key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert script.returncode == 0, script.stderr
    return json.loads(script.stdout)


def test_a_stream_says_what_a_whole_answer_says(came: Any) -> None:
    assert came["chat"]["text"]
    assert came["stream"]["text"] == came["chat"]["text"]
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    chat, stream = came["chat"]["usage"], came["stream"]["usage"]
    assert [chat[count] for count in counts] == [stream[count] for count in counts]


def test_a_required_tool_is_called_whole_and_streamed(came: Any) -> None:
    for answer in came["tools"]:
        (call,) = answer["calls"]
        assert answer["finish_reason"] == "tool_calls"
        assert call["name"] == "weather"
        assert json.loads(call["arguments"])["city"] in ("Bern", "Oslo")
    whole, streamed = came["tools"]
    assert whole["calls"][0]["arguments"] == streamed["calls"][0]["arguments"]


@pytest.mark.parametrize("form", FORMATS)
def test_streamed_calls_are_put_together_to_the_whole_answers(came: Any, form: str) -> None:
    whole, streamed = came["calls"][form]["chat"]
    assert whole == streamed
    assert len(whole) > 1
    assert whole[-1] in ("tool_calls", "length")
    response, followed = came["calls"][form]["responses"]
    assert response == followed
    assert all(name in ("weather", "clock") for name, _ in response)


def test_json_keeps_to_its_schema(came: Any) -> None:
    assert came["json"]["city"] in ("Bern", "Oslo")
    assert len(came["json"]) == 1


def test_embeddings_are_the_same_packed_and_plain(came: Any) -> None:
    packed, plain = came["embeddings"]
    assert len(packed) == len(plain) == 2
    for one, other in zip(packed, plain, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
        assert math.hypot(*one) == pytest.approx(1, abs=1e-5)


def test_a_response_is_built_upon_kept_and_streamed(came: Any) -> None:
    responses = came["responses"]
    assert responses["first"]
    assert responses["next"] == responses["kept"]
    assert responses["types"][0] == "response.created"
    assert responses["types"][-1] in ("response.completed", "response.incomplete")


def test_a_refusal_is_the_clients_own_error(came: Any) -> None:
    refusal = came["refusal"]
    assert refusal == {"bad": True, "code": "invalid_value", "param": "temperature"}
