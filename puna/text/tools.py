"""Tool calls in what a model wrote.

In: an answer's text, the name of its template, the tools that were offered.
Out: the text without the calls, and the calls.  What is not a sound call of an
offered tool stays text.  Does not call anything.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from puna.chat import Tool, ToolCall

PYTHON_TAG = "<|python_tag|>"

Found = tuple[str, list[tuple[str, Any]]]  # the text around the calls, and (name, arguments)

_FUNCTION_TAG = re.compile(r"<function=([\w.:-]{1,128})>")
_BUILTIN_CALL = re.compile(r'\s*([\w.-]{1,128})\.call\((\w{1,64})="([^"]*)"\)\s*')
_SEPARATORS = " \t\r\n;,"
_JSON = json.JSONDecoder()


def parse_tool_calls(
    text: str, template_name: str, tools: Sequence[Tool]
) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the text that is left and the calls, in their order.

    Llama 3.1 writes JSON, <function=…> or, after <|python_tag|>, a built-in's
    call or Python; ChatML models write <tool_call>.  For Jinja both are tried.
    """
    offered = {tool.name for tool in tools}
    for reader in _READERS.get(template_name, _ALL_READERS) if offered else ():
        rest, calls = reader(text)
        if calls and all(name in offered for name, _ in calls):
            return rest.strip(), tuple(_tool_call(name, given) for name, given in calls)
    return text, ()


def _json_calls(text: str) -> Found:
    """The whole text is one JSON call or several: {"name": …, "parameters": …}."""
    calls = []
    place, end = 0, len(text := text.removeprefix(PYTHON_TAG).strip(_SEPARATORS))
    while place < end:
        read = _object_at(text, place)
        if read is None or (call := _call_in(read[0])) is None:
            return text, []
        calls.append(call)
        place = read[1]
        while place < end and text[place] in _SEPARATORS:
            place += 1
    return "", calls


def _function_tag_calls(text: str) -> Found:
    """<function=name>{…}</function>, anywhere; the closing tag may be missing at the end."""
    rest, calls, done = "", [], 0
    for tag in _FUNCTION_TAG.finditer(text):
        read = _object_at(text, tag.end())
        if tag.start() < done or read is None:
            continue
        calls.append((tag[1], read[0]))
        rest += text[done : tag.start()]
        done = _past(text, read[1], "</function>")
    return (rest + text[done:]).removeprefix(PYTHON_TAG), calls


def _builtin_calls(text: str) -> Found:
    """brave_search.call(query="…"), the whole text."""
    call = _BUILTIN_CALL.fullmatch(text.removeprefix(PYTHON_TAG))
    return ("", [(call[1], {call[2]: call[3]})]) if call else (text, [])


def _code_calls(text: str) -> Found:
    """Python after <|python_tag|> is a call of the code interpreter."""
    before, tag, code = text.partition(PYTHON_TAG)
    return (before, [("code_interpreter", {"code": code})]) if tag and code.strip() else (text, [])


def _tag_calls(text: str) -> Found:
    """<tool_call>{"name": …, "arguments": …}</tool_call>, anywhere."""
    rest, calls, done = "", [], 0
    while (start := text.find("<tool_call>", done)) >= 0:
        read = _object_at(text, start + len("<tool_call>"))
        call = _call_in(read[0]) if read else None
        if read is None or call is None:
            return text, []
        calls.append(call)
        rest += text[done:start]
        done = _past(text, read[1], "</tool_call>")
    return rest + text[done:], calls


Reader = Callable[[str], Found]
_LLAMA31: tuple[Reader, ...] = (_json_calls, _function_tag_calls, _builtin_calls, _code_calls)
_CHATML: tuple[Reader, ...] = (_tag_calls,)
_READERS = {"llama31": _LLAMA31, "chatml": _CHATML}
_ALL_READERS = _CHATML + _LLAMA31


def _object_at(text: str, place: int) -> tuple[dict[str, Any], int] | None:
    """The JSON object that starts there after space, and where it ends."""
    while place < len(text) and text[place].isspace():
        place += 1
    try:
        value, end = _JSON.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None
    return (value, end) if isinstance(value, dict) else None


def _call_in(value: dict[str, Any]) -> tuple[str, Any] | None:
    """Name and arguments; models call the latter parameters or arguments."""
    name = value.get("name")
    given = value.get("parameters", value.get("arguments"))
    if isinstance(given, str):
        read = _object_at(given, 0)
        given = read[0] if read else None
    return (name, given) if isinstance(name, str) and isinstance(given, dict) else None


def _past(text: str, place: int, closing: str) -> int:
    after = place + len(text[place:]) - len(text[place:].lstrip())
    return after + len(closing) if text.startswith(closing, after) else place


def _tool_call(name: str, arguments: Any) -> ToolCall:
    text = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(id=f"call_{secrets.token_hex(12)}", name=name, arguments=text)


def call_marks(template_name: str) -> Iterator[str]:
    """Yield the control tokens that must be shown in an answer for its calls to be found."""
    if template_name in ("llama31", "jinja"):
        yield PYTHON_TAG
