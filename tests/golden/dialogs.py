"""Dialogs of every kind that Llama 3.1 has, and the messages that Meta would make of them.

Out: for each name our messages and tools, and beside them what Meta's
ChatFormat is given: role, content, calls, whether the message ends in <|eom_id|>.
The preambles stand here in full, so that the template is not compared with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from puna.chat import Message, Tool, ToolCall
from puna.text.llama31 import ToolFormat

DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
ENVIRONMENT = "Environment: ipython\n"

WEATHER = Tool(
    name="get_weather",
    description="The weather in a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
SEARCH = Tool(name="brave_search", description="Search the web")
PYTHON = Tool(name="code_interpreter", description="Run Python")

JSON_TOOLS = """\
Given the following functions, please respond with a JSON for a function call with its proper \
arguments that best answers the given prompt.

Respond in the format {"name": function name, "parameters": dictionary of argument name and its \
value}.Do not use variables.

{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {
                    "type": "string"
                }
            },
            "required": [
                "city"
            ]
        }
    }
}

"""
TAG_TOOLS = """\
You have access to the following functions:

Use the function 'get_weather' to 'The weather in a city':
{"name": "get_weather", "description": "The weather in a city", "parameters": {"type": "object", \
"properties": {"city": {"type": "string"}}, "required": ["city"]}}

Think very carefully before calling functions.
If you choose to call a function ONLY reply in the following format with no prefix or suffix:

<function=example_function_name>{"example_name": "example_value"}</function>

Reminder:
- If looking for real time information use relevant functions before falling back to brave_search
- Function calls MUST follow the specified format, start with <function= and end with </function>
- Required parameters MUST be specified
- Only call one function at a time
- Put the entire function call reply on one line

"""


@dataclass(frozen=True)
class MetaMessage:
    """A message for ChatFormat; `calls` are (tool, arguments)."""

    role: str
    content: str
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    ends_message: bool = False  # <|eom_id|>: more is to come


@dataclass(frozen=True)
class Dialog:
    """One dialog, twice."""

    messages: tuple[Message, ...]
    meta: tuple[MetaMessage, ...]
    tools: tuple[Tool, ...] = ()
    tool_format: ToolFormat = "json"


def _calls(name: str, arguments: str, content: str = "") -> Message:
    return Message("assistant", content, tool_calls=(ToolCall("call_1", name, arguments),))


_QUESTION = "How warm is it in São Paulo? <|eot_id|>"
_ASK = (Message("system", "Be brief."), Message("user", _QUESTION))
_RESULT, _META_RESULT = Message("tool", '{"°C": 25}'), MetaMessage("tool", '{"°C": 25}')

DIALOGS = {
    "question": Dialog(
        (Message("user", "Hello!"),),
        (MetaMessage("system", DATES), MetaMessage("user", "Hello!")),
    ),
    "system": Dialog(
        (Message("system", "You are a pirate.\n"), Message("user", "\n\n Who\tare you? \n")),
        (
            MetaMessage("system", DATES + "You are a pirate.\n"),
            MetaMessage("user", "\n\n Who\tare you? \n"),
        ),
    ),
    "turns": Dialog(
        (Message("user", "नमस्ते"), Message("assistant", "Hi 😀"), Message("user", "...")),
        (
            MetaMessage("system", DATES),
            MetaMessage("user", "नमस्ते"),
            MetaMessage("assistant", "Hi 😀"),
            MetaMessage("user", "..."),
        ),
    ),
    "tools offered": Dialog(
        _ASK,
        (
            MetaMessage("system", ENVIRONMENT + DATES + "Be brief."),
            MetaMessage("user", JSON_TOOLS + _QUESTION),
        ),
        (WEATHER,),
    ),
    "json call": Dialog(
        (*_ASK, _calls("get_weather", '{"city": "São Paulo", "n": [1, null]}'), _RESULT),
        (
            MetaMessage("system", ENVIRONMENT + DATES + "Be brief."),
            MetaMessage("user", JSON_TOOLS + _QUESTION),
            MetaMessage("assistant", "", (("get_weather", {"city": "São Paulo", "n": [1, None]}),)),
            _META_RESULT,
        ),
        (WEATHER,),
    ),
    "words before a call": Dialog(
        (*_ASK, _calls("get_weather", '{"city": "x"}', "I'll look."), _RESULT),
        (
            MetaMessage("system", ENVIRONMENT + DATES + "Be brief."),
            MetaMessage("user", JSON_TOOLS + _QUESTION),
            MetaMessage("assistant", "I'll look.", (("get_weather", {"city": "x"}),)),
            _META_RESULT,
        ),
        (WEATHER,),
    ),
    "function tag": Dialog(
        (*_ASK, _calls("get_weather", '{"city": "São Paulo"}'), _RESULT),
        (
            MetaMessage("system", ENVIRONMENT + DATES + "Be brief."),
            MetaMessage("user", TAG_TOOLS + _QUESTION),
            MetaMessage("assistant", "", (("get_weather", {"city": "São Paulo"}),)),
            _META_RESULT,
        ),
        (WEATHER,),
        "function_tag",
    ),
    "code interpreter": Dialog(
        (*_ASK, _calls("code_interpreter", '{"code": "print(7)\\n"}'), Message("ipython", "7\n")),
        (
            MetaMessage("system", ENVIRONMENT + DATES + "Be brief."),
            MetaMessage("user", _QUESTION),
            MetaMessage("assistant", "", (("code_interpreter", {"code": "print(7)\n"}),), True),
            MetaMessage("tool", "7\n"),
        ),
        (PYTHON,),
    ),
    # ChatFormat leaves out the <|python_tag|> that Meta's documentation puts before a search;
    # here it is asked to write the text alone, and the tag is put in where it belongs.
    "built-in search": Dialog(
        (*_ASK, _calls("brave_search", '{"query": "gold price"}'), Message("tool", "$1")),
        (
            MetaMessage("system", ENVIRONMENT + "Tools: brave_search\n\n" + DATES + "Be brief."),
            MetaMessage("user", _QUESTION),
            MetaMessage("assistant", "", (("brave_search", {"query": "gold price"}),), True),
            MetaMessage("tool", "$1"),
        ),
        (PYTHON, SEARCH),
    ),
}
