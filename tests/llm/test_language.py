"""What a model hears of and what it can call are two things."""

from __future__ import annotations

from puna.chat import Message, Tool
from puna.llm import LLM
from puna.llm.reply import joined
from puna.text.grammar import Grammar

HELLO = [Message("user", "hello world")]
TOOLS = (Tool("weather"), Tool("clock"))
CALL = '{"name": "weather", "parameters": {}}'


def test_a_call_of_a_tool_that_is_not_to_be_called_is_text(llm: LLM) -> None:
    grammar = Grammar("regex", CALL.replace("{", r"\{").replace("}", r"\}"))
    for may_call, text, names in (
        (TOOLS, "", ["weather"]),
        (TOOLS[1:], CALL, []),
    ):
        prepared = llm.language.prepare(
            HELLO, tools=TOOLS, may_call=may_call, grammar=grammar, temperature=0.0
        )
        ticket = llm.begin(prepared)
        reply = joined(prepared.reading.deltas(ticket, prepared.prompt_tokens))
        assert reply.text == text
        assert [call.name for call in reply.choices[0].tool_calls] == names
        assert prepared.prompt_tokens == llm.count_prompt(HELLO, TOOLS)
