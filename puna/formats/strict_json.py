"""JSON from strangers.

In: bytes.  Out: an object whose keys are unique and whose numbers are numbers.
Does not know what the object should hold.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from puna.errors import MalformedFileError


def parse_object(raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `raw`.  Raises MalformedFileError, its text beginning with `what`, on
    text that is no UTF-8 JSON object, repeated keys, NaN, infinity and endless nesting."""
    try:
        parsed = json.loads(
            raw.decode(), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise MalformedFileError(f"{what} is nested too deeply to be read") from error
    except ValueError as error:  # of which JSON's and UTF-8's decoding errors are kinds
        raise MalformedFileError(f"{what} is not sound JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise MalformedFileError(f"{what} is not a JSON object")
    return parsed


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
