"""A dialog that is too long loses its oldest turns, where its client allows that."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from puna.server.chat_request import ChatMessage
from puna.server.responses.fit import cuts
from tests.server.openai_client import client
from tests.server.serving import Served

SHORT: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_output_tokens": 6}
LONG_TURN = "the " * 1500  # of a context of 2,048


def roles(messages: list[ChatMessage]) -> str:
    return "".join(one.role[0] for one in messages)


@pytest.mark.parametrize(
    ("dialog", "expected"),
    [
        ("suauau", ["suau", "su"]),
        ("uau", ["u"]),
        ("su", []),
        ("s", []),
        ("uatatu", ["u"]),  # what a tool returned goes with its turn
        ("ua", []),
    ],
)
def test_whole_turns_are_left_out_from_the_oldest_on(dialog: str, expected: list[str]) -> None:
    of = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    said = [
        ChatMessage.model_validate({"role": of[letter], "content": "x", "tool_call_id": "c"})
        for letter in dialog
    ]
    assert [roles(kept) for kept in cuts(said)] == expected


def test_auto_leaves_out_what_disabled_refuses(server: Served) -> None:
    api = client(server)
    first = api.responses.create(input=LONG_TURN, instructions="it is one", **SHORT)
    second: dict[str, Any] = {
        "input": LONG_TURN + "it",
        "instructions": "it is one",
        "previous_response_id": first.id,
        **SHORT,
    }
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        api.responses.create(**second)
    made = api.responses.create(truncation="auto", **second)
    assert made.truncation == "auto"
    alone = api.responses.create(input=LONG_TURN + "it", instructions="it is one", **SHORT)
    assert made.output_text == alone.output_text
    assert made.usage is not None
    assert alone.usage is not None
    assert made.usage.input_tokens == alone.usage.input_tokens
    counted = api.responses.input_tokens.count(
        model="tiny",
        input=LONG_TURN + "it",
        instructions="it is one",
        previous_response_id=first.id,
        truncation="auto",
    )
    assert counted.input_tokens == made.usage.input_tokens


def test_auto_leaves_a_dialog_that_fits_alone(server: Served) -> None:
    api = client(server)
    first = api.responses.create(input="hello", **SHORT)
    ask: dict[str, Any] = {"input": "the one", "previous_response_id": first.id, **SHORT}
    plain, auto = api.responses.create(**ask), api.responses.create(truncation="auto", **ask)
    assert auto.output_text == plain.output_text


def test_a_last_turn_that_is_too_long_by_itself_is_refused(server: Served) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        client(server).responses.create(input="the " * 3000, truncation="auto", **SHORT)
