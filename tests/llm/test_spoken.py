"""An answer's text as it grows: stop strings end text, calls end themselves, loops are cut."""

from __future__ import annotations

import json

import pytest

from puna.llm import LLM
from puna.llm.spoken import Spoken, SpokenCheck
from puna.text.calls import CHATML, LLAMA, CallStyle
from puna.text.stream import StreamDecoder

NAMES = ("add", "clock")
ADD = '{"name": "add", "parameters": {"a": 1}}'
CLOCK = '{"name": "clock", "parameters": {}}'
TAG = '<tool_call>\n{"name": "add", "arguments": {"a": "STOP"}}\n</tool_call>'


def spoken(llm: LLM, style: CallStyle | None, stops: tuple[str, ...] = ()) -> Spoken:
    return Spoken(StreamDecoder(llm.tokenizer), stops, style, NAMES if style else ())


def heard(llm: LLM, text: str, style: CallStyle | None, *stops: str) -> tuple[str, Spoken]:
    one = spoken(llm, style, stops)
    said = "".join(one.push(token) for token in llm.tokenizer.encode(text))
    return said, one


def ends_after(llm: LLM, text: str, style: CallStyle | None, *stops: str) -> str | None:
    """How far the engine lets an answer go on, None where to its end."""
    check = SpokenCheck(lambda: spoken(llm, style, stops)).fresh()
    ids = llm.tokenizer.encode(text)
    for at, token in enumerate(ids):
        if check.push(token):
            return llm.tokenizer.decode(ids[: at + 1])
    return None


@pytest.mark.parametrize("style", [None, CHATML, LLAMA])
def test_a_stop_string_ends_text(llm: LLM, style: CallStyle | None) -> None:
    said, one = heard(llm, "Hello STOP there", style, "STOP")
    assert said + one.flush(cut=False) == "Hello "
    assert one.over
    ended = ends_after(llm, "Hello STOP there", style, "STOP")
    assert ended is not None
    assert ended.startswith("Hello STOP")


def test_a_stop_string_within_a_call_is_the_calls_own(llm: LLM) -> None:
    said, one = heard(llm, f"I add. {TAG}", CHATML, "STOP", "</tool")
    assert (said, one.calls, one.over) == ("I add. ", TAG, False)
    assert ends_after(llm, TAG, CHATML, "STOP") is None


def test_text_that_a_call_follows_is_not_held_back_for_a_stop_string(llm: LLM) -> None:
    said, one = heard(llm, f"so far: S{TAG}", CHATML, "STOP")
    assert said == "so far: S"
    assert one.calls == TAG


def test_a_model_that_calls_the_same_again_and_again_is_ended(llm: LLM) -> None:
    ended = ends_after(llm, "; ".join([ADD] * 9), LLAMA)
    assert ended is not None
    assert ended.count('"add"') == 2


def test_calls_without_arguments_may_be_repeated(llm: LLM) -> None:
    assert ends_after(llm, "; ".join([CLOCK] * 9), LLAMA) is None


def test_what_may_become_a_call_is_shown_in_the_end_unless_it_was_cut(llm: LLM) -> None:
    text = '{"name": "a'
    for cut, shown in ((False, text), (True, "")):
        said, one = heard(llm, text, LLAMA)
        assert said == ""
        assert one.flush(cut=cut) == shown


def test_json_that_is_no_call_streams(llm: LLM) -> None:
    text = json.dumps({"city": "Oslo"})
    said, one = heard(llm, text, LLAMA)
    assert said + one.flush(cut=False) == text
    assert len(said) > len(text) // 2
