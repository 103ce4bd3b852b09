"""Calls as a list in Python: [weather(city="Oslo", days=2), clock()].

In: text; tools.  Out: the calls in it; rules for a grammar.  The list is the whole answer.
Llama 3.2's small models and Llama 4 are told to write them so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
    one_of,
    row_of,
    written,
)
from puna.text.calls.python_literal import CutError, past_space, read_literal, separated
from puna.text.grammar import JSON_OPTIONS

_CALL = re.compile(r"([\w.:-]{1,128})\(")
_KEYWORD = re.compile(r"([A-Za-z_]\w{0,127})\s*=\s*")
_COMBINED = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")


class PythonList(CallFormat):
    """Calls with named arguments, which are literals."""

    name = "python"

    def openings(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return how a list may begin, all space left out."""
        return tuple(f"[{name}(" for name in names)

    def opening_regex(self, names: Sequence[str]) -> str:
        """Return the same as a regex for a grammar, which lets space in."""
        return f"{SPACE}\\[{any_of(names)}\\("

    def can_write(self, tool: Signature) -> bool:
        """Tell whether the tool's arguments have fixed names."""
        schema = tool.schema
        plain = isinstance(schema.get("properties", {}), dict)
        return plain and not any(key in schema for key in _COMBINED)

    def read(self, text: str, place: int) -> Reading | None:
        """Read one list; nothing of it is run."""
        place = past_space(text, place)
        if not text.startswith("[", place):
            return None
        calls: list[Written] = []
        try:
            end = separated(text, place + 1, "]", lambda at: _call(text, at, calls))
        except CutError:
            return Reading(tuple(calls), len(text), cut=True) if calls else None
        except ValueError:
            return None
        return Reading(tuple(calls), end) if calls else None

    def rules(self, tools: Sequence[Signature], most: int) -> str:
        """Return Lark for `python_calls`."""
        lines = [
            f'python_calls: {row_of("python_more", literal(", "), most, "python_first")} "]"',
            f"python_first: {one_of('python_first', tools)}",
            f"python_more: {one_of('python_more', tools)}",
        ]
        for at, tool in enumerate(tools):
            given = f"python_{at}_start0"
            first = f"/{self.opening_regex([tool.name])}/"
            lines.append(f'python_first_{at}: {first} {given} ")"')
            lines.append(f'python_more_{at}: {literal(tool.name + "(")} {given} ")"')
            lines.extend(_argument_rules(f"python_{at}", tool))
        return "\n".join(lines) + "\n"


def _call(text: str, place: int, calls: list[Written]) -> int:
    """Read one call into `calls`, also one that the text's end cuts off."""
    opened = _CALL.match(text, place)
    if opened is None:
        raise CutError if re.fullmatch(r"[\w.:-]*", text[place:]) else ValueError("no call")
    given: dict[str, Any] = {}
    try:
        end = separated(text, opened.end(), ")", lambda at: _keyword(text, at, given))
    except CutError as cut:
        whole = json.dumps(given, ensure_ascii=False).removesuffix("}")
        begun = ", " + cut.begun if cut.begun and given else cut.begun
        calls.append(Written(opened[1], whole + begun, complete=False))
        raise
    calls.append(written(opened[1], given))
    return end


def _keyword(text: str, place: int, given: dict[str, Any]) -> int:
    keyword = _KEYWORD.match(text, place)
    if keyword is None:
        raise CutError if re.fullmatch(r"\w*\s*", text[place:]) else ValueError("no keyword")
    if keyword[1] in given:
        raise ValueError(f"{keyword[1]} is given twice")
    try:
        value, end = read_literal(text, keyword.end())
    except CutError as cut:
        raise CutError(f"{json.dumps(keyword[1])}: {cut.begun}" if cut.begun else "") from None
    if end == len(text) and isinstance(value, int | float):
        raise CutError  # more digits may follow
    given[keyword[1]] = value
    return end


def _argument_rules(prefix: str, tool: Signature) -> Iterator[str]:
    """Yield a rule for each argument, with a comma where one was written before it."""
    given = _arguments(tool)
    for at, (name, schema, required) in enumerate(given):
        value = f"{literal(name + '=')} {_value(schema)}"
        yield f"{prefix}_value{at}: {value}"
        skip_first = "" if required else f" | {prefix}_start{at + 1}"
        skip_later = "" if required else f" | {prefix}_later{at + 1}"
        yield f"{prefix}_start{at}: {prefix}_value{at} {prefix}_later{at + 1}{skip_first}"
        yield f'{prefix}_later{at}: ", " {prefix}_value{at} {prefix}_later{at + 1}{skip_later}'
    yield f'{prefix}_start{len(given)}: ""'
    yield f'{prefix}_later{len(given)}: ""'


def _arguments(tool: Signature) -> list[tuple[str, Mapping[str, Any], bool]]:
    """Return each argument's name, schema, and whether it must be there."""
    schema = tool.schema
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    required = schema.get("required", [])
    required = required if isinstance(required, list) else []
    return [
        (name, {**one, **shared} if "$ref" in json.dumps(one) else one, name in required)
        for name, one in schema.get("properties", {}).items()
        if isinstance(one, dict)
    ]


def _value(schema: Mapping[str, Any]) -> str:
    """Return a rule for a value: JSON, but a truth value as Python spells it."""
    if schema.get("type") == "boolean" and not schema.keys() & {"enum", "const"}:
        return '("True" | "False")'
    return embedded(schema, JSON_OPTIONS)
