"""Calls as JSON: {"name": …, "parameters": {…}}, as Llama 3.1 is told to write them.

In: text; tools.  Out: the calls in it; rules for a grammar.  A row of them is the whole answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from puna.text.calls.format import (
    SPACE,
    CallFormat,
    Reading,
    Signature,
    Written,
    any_of,
    embedded,
    literal,
    object_at,
    object_text,
    one_of,
    row_of,
    written,
)
from puna.text.grammar import JSON_OPTIONS

_OPENED = re.compile(r'\s*\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"name"\s*:\s*"([^"\\]+)"')
_GIVEN = re.compile(r'\s*,\s*"(?:parameters|arguments)"\s*:\s*')


class JsonObject(CallFormat):
    """One JSON object a call, several with semicolons between them."""

    name = "json"

    def openings(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return how a row of calls may begin, all space left out."""
        kinds = ('{"name":', '{"type":"function","name":')
        return tuple(f'{kind}"{name}"' for name in names for kind in kinds)

    def opening_regex(self, names: Sequence[str]) -> str:
        """Return the same as a regex for a grammar, which lets space in."""
        kind = f'("type" ?: ?"function" ?,{SPACE})?'
        return f'{SPACE}\\{{{SPACE}{kind}"name" ?: ?"{any_of(names)}"'

    def read(self, text: str, place: int) -> Reading | None:
        """Read one call."""
        return call_at(text, place)

    def rules(self, tools: Sequence[Signature], most: int) -> str:
        """Return rules where each tool's opening is one lexeme, so that text may begin alike."""
        calls = [
            f"json_{at}: /{self.opening_regex([tool.name])}/ JSON_GIVEN {tool.arguments} JSON_CLOSE"
            for at, tool in enumerate(tools)
        ]
        return "\n".join(
            [
                f"json_calls: {row_of('json_call', 'JSON_NEXT', most)}",
                f"json_call: {one_of('json', tools)}",
                *calls,
                f'JSON_GIVEN: / ?,{SPACE}"(parameters|arguments)" ?: ?/',
                f"JSON_CLOSE: /{SPACE}\\}}/",
                "JSON_NEXT: /[;\\n] ?/\n",
            ]
        )

    def start_beside(self, reply: str, tools: Sequence[Signature], most: int) -> str:
        """Return one where calls and the other document share their lexemes: both are JSON."""
        call = embedded({"anyOf": [_one_call(tool) for tool in tools]}, JSON_OPTIONS)
        return f"json_call: {call}\nstart: {row_of('json_call', literal('; '), most)} | {reply}\n"


def _one_call(tool: Signature) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "parameters": tool.schema},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def call_at(text: str, place: int) -> Reading | None:
    """Read the object at a place, whole or cut off by the text's end, as a call."""
    read = object_at(text, place)
    if read is None:
        cut = _cut_object(text, place)
        return Reading((cut,), len(text), cut=True) if cut else None
    call = _in_order(text, place) or _named_call(read[0])
    return Reading((call,), read[1]) if call else None


def _in_order(text: str, place: int) -> Written | None:
    """Return the call of an object that names it first, then its arguments as they are written."""
    opened = _OPENED.match(text, place)
    given = opened and _GIVEN.match(text, opened.end())
    read = object_text(text, given.end()) if given else None
    return Written(opened[1], read[0]) if opened and read else None


def _named_call(value: dict[str, Any]) -> Written | None:
    """Return the call that an object stands for; models say parameters or arguments."""
    name = value.get("name")
    given = value.get("parameters", value.get("arguments"))
    if isinstance(given, str):
        read = object_at(given, 0)
        given = read[0] if read else None
    return written(name, given) if isinstance(name, str) and isinstance(given, dict) else None


def _cut_object(text: str, place: int) -> Written | None:
    """Return the call in a text that ends before its object does, once its name is there."""
    opened = _OPENED.match(text, place)
    if opened is None:
        return None
    given = _GIVEN.match(text, opened.end())
    return cut_arguments(opened[1], text, given.end() if given else len(text))


def cut_arguments(name: str, text: str, place: int) -> Written:
    """Return a call whose text ends within its arguments, which begin there, or just after them."""
    read = object_text(text, place)
    return Written(name, read[0]) if read else Written(name, text[place:].lstrip(), complete=False)
