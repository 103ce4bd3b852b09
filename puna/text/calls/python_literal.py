"""Python's literals, read without running anything: numbers, strings, lists, dicts, True.

In: text and a place.  Out: the value as JSON has it, and where it ends.
Knows no names and no operators; JSON's true, false and null are read as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

DEEPEST = 32

_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,3})?")
_WORD = re.compile(r"[A-Za-z]+")
_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_PLAIN = re.compile(r"[^\\'\"\n]+")
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})"
    r"|(?![xuU][0-9A-Fa-f]{0,7}\Z)(.))",  # these want more digits, if the text goes on
    re.DOTALL,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}


class CutError(ValueError):
    """The text ends before the value does; `begun` is what is certain of a string, as JSON."""

    def __init__(self, begun: str = "") -> None:
        super().__init__("cut off")
        self.begun = begun


def read_literal(text: str, place: int, depth: int = 0) -> tuple[Any, int]:
    """Return the value that begins at `place`, and its end; ValueError where there is none."""
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    place = past_space(text, place)
    first = text[place : place + 1]
    if not first:
        raise CutError
    if first in "'\"":
        return _string(text, place, depth)
    if first in "[(":
        return _list(text, place, depth)
    if first == "{":
        return _dict(text, place, depth)
    return _word_or_number(text, place)


def past_space(text: str, place: int) -> int:
    """Return the next place that is no space."""
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def separated(text: str, place: int, closing: str, item: Callable[[int], int]) -> int:
    """Read items with commas between them up to `closing`; `item` reads one and says its end."""
    place = past_space(text, place)
    while not text.startswith(closing, place):
        place = past_space(text, item(place))
        if place >= len(text):
            raise CutError
        if text[place] == ",":
            place = past_space(text, place + 1)
        elif text[place] != closing:
            raise ValueError(f"expected , or {closing} at {place}")
    return place + 1


def _list(text: str, place: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []

    def item(at: int) -> int:
        value, end = read_literal(text, at, depth + 1)
        values.append(value)
        return end

    return values, separated(text, place + 1, "]" if text[place] == "[" else ")", item)


def _dict(text: str, place: int, depth: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}

    def item(at: int) -> int:
        key, end = read_literal(text, at, depth + 1)
        end = past_space(text, end)
        if end >= len(text):
            raise CutError
        if not isinstance(key, str) or text[end] != ":":
            raise ValueError(f"expected a name and a colon at {at}")
        values[key], end = read_literal(text, end + 1, depth + 1)
        return end

    return values, separated(text, place + 1, "}", item)


def _word_or_number(text: str, place: int) -> tuple[Any, int]:
    if word := _WORD.match(text, place):
        if word[0] in _WORDS:
            return _WORDS[word[0]], word.end()
        if word.end() == len(text):
            raise CutError
        raise ValueError(f"{word[0]!r} is no literal")
    number = _NUMBER.match(text, place)
    if number is None:
        if place + 1 == len(text):
            raise CutError
        raise ValueError(f"no literal at {place}")
    whole = number[0].lstrip("+-").isdigit()
    return (int(number[0]) if whole else float(number[0])), number.end()


def _string(text: str, place: int, depth: int) -> tuple[str, int]:
    quote, place = text[place], place + 1
    said: list[str] = []
    while place < len(text) and text[place] != quote:
        read = _escape(text, place) if text[place] == "\\" else _plain(text, place)
        if read is None:
            break
        said.append(read[0])
        place = read[1]
    else:
        if place < len(text):
            return "".join(said), place + 1
    begun = json.dumps("".join(said), ensure_ascii=False).removesuffix('"')
    raise CutError("" if depth else begun)


def _plain(text: str, place: int) -> tuple[str, int]:
    """Read on to what may have a meaning; the other quote and a line's end stand for themselves."""
    plain = _PLAIN.match(text, place)
    return (plain[0], plain.end()) if plain else (text[place], place + 1)


def _escape(text: str, place: int) -> tuple[str, int] | None:
    escape = _ESCAPE.match(text, place)
    if escape is None:
        return None
    code = escape[1] or escape[2] or escape[3]
    if code is None:
        known = escape[4] in "\\'\""
        return _ESCAPED.get(escape[4], escape[4] if known else escape[0]), escape.end()
    if int(code, 16) > 0x10FFFF or 0xD800 <= int(code, 16) <= 0xDFFF:
        raise ValueError(f"{escape[0]} is no character")
    return chr(int(code, 16)), escape.end()
