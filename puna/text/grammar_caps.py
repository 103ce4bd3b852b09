"""How big a grammar may be before anyone looks at what it says.

In: a schema, regex or grammar from a request.  Out: nothing, or GrammarError.
Compiling stays under 250 ms for everything that passes.
"""

from __future__ import annotations

import re
from typing import Any

from puna.errors import GrammarError, MalformedFileError
from puna.formats.strict_json import parse_object

LONGEST = {  # bytes of UTF-8
    "json_schema": 256 * 1024,
    "regex": 32 * 1024,
    "lark": 64 * 1024,
    "calls": 1024 * 1024,  # of our own making, from schemas that are each smaller
}
DEEPEST = 64
MOST_PROPERTIES = 1_000  # llguidance takes quadratic time: 80 ms for these, 2.2 s for 6,000
LARGEST_COUNT = 2**31 - 1

_COUNTS = frozenset(
    ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
)
_BRACKETS = re.compile(r'\\.|"(?:[^"\\]|\\.)*"|[()\[\]{}]', re.DOTALL)
_REGEX_BRACKETS = re.compile(r"\\.|[()]", re.DOTALL)
_OPENING, _CLOSING = "([{", ")]}"


def check_source(kind: str, source: str) -> None:
    """Raise GrammarError if the source is too long, or nested deeper than 64 brackets."""
    size = _utf8_bytes(kind, source)
    if size > LONGEST[kind]:
        raise GrammarError(f"the {kind} has {size} bytes; at most {LONGEST[kind]} are accepted")
    if kind != "calls" and _depth(source, strings=kind != "regex") > DEEPEST:
        raise GrammarError(f"the {kind} nests deeper than {DEEPEST} brackets; flatten it")


def parse_schema(source: str) -> dict[str, Any]:
    """Return the schema; raises GrammarError if it is no JSON object, too big or names too much."""
    check_source("json_schema", source)
    try:
        schema = parse_object(source.encode("utf-8", "replace"), "the schema")
    except MalformedFileError as error:
        raise GrammarError(str(error)) from None
    _check_counts(schema)
    count = _count_properties(schema)
    if count > MOST_PROPERTIES:
        raise GrammarError(
            f"the schema names {count} properties; at most {MOST_PROPERTIES} are accepted"
        )
    return schema


def _utf8_bytes(kind: str, source: str) -> int:
    try:
        return len(source.encode())
    except UnicodeEncodeError as error:
        raise GrammarError(f"the {kind} holds half a character at {error.start}") from None


def _check_counts(value: Any) -> None:
    """Refuse limits that no text could reach: they count bytes of an attack, not of an answer."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        if isinstance(one, dict | list):
            _check_counts(one)
        elif key in _COUNTS and isinstance(one, int | float) and one > LARGEST_COUNT:
            raise GrammarError(f"the schema's {key} is {one}; at most {LARGEST_COUNT} is accepted")


def _depth(source: str, *, strings: bool) -> int:
    """The deepest nesting of brackets; escaped ones and those within strings do not count."""
    depth = deepest = 0
    for token in _brackets(source, strings=strings):
        depth += (token in _OPENING) - (token in _CLOSING)
        deepest = max(deepest, depth)
    return deepest


def _brackets(source: str, *, strings: bool) -> list[str]:
    pattern = _BRACKETS if strings else _REGEX_BRACKETS
    return [token for token in pattern.findall(source) if len(token) == 1]


def _count_properties(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_count_properties, value))
    if not isinstance(value, dict):
        return 0
    named = [value.get(key) for key in ("properties", "patternProperties", "$defs", "definitions")]
    own = sum(len(names) for names in named if isinstance(names, dict))
    return own + sum(map(_count_properties, value.values()))
