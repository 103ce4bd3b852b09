"""A body that does not fit, in one sentence: where its first fault is, and what would fit.

In: what the parser or pydantic found, and the body.  Out: a message, a code, the parameter.
What was sent is not repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

SHOULD_BE = "Input should be "
NOT_JSON = (
    "the body is not sent as JSON; add the header `Content-Type: application/json` "
    "(curl: -H 'Content-Type: application/json')"
)
INVALID_JSON = "invalid_json"
EMPTY = "the body is empty; this address takes a JSON object"

Finding = Mapping[str, Any]  # pydantic's: type, loc, msg, ctx
Place = tuple[int | str, ...]


class Fault(NamedTuple):
    """What is wrong; `param` is None where it is no one parameter's fault."""

    message: str
    code: str = "invalid_value"
    param: str | None = None


def fault_of(error: RequestValidationError | ValidationError) -> Fault:
    """Return the first fault."""
    body = error.body if isinstance(error, RequestValidationError) else None
    findings = error.errors()
    if isinstance(body, bytes):
        return Fault(NOT_JSON, "not_json")
    if findings and findings[0]["type"] == "json_invalid":
        return _not_json(findings[0], str(body))
    if body is None and [one["type"] for one in findings] == ["missing"]:
        return Fault(EMPTY, "not_json")
    return _misfit(findings, body)


def unreadable(cause: BaseException | None) -> str:
    """Return why a body could not even be parsed."""
    if isinstance(cause, UnicodeDecodeError):
        what = f"the byte at position {cause.start} is not UTF-8"
    elif isinstance(cause, RecursionError):
        what = "it is nested too deeply"
    else:
        what = "it cannot be read"
    return f"the body is not valid JSON: {what}"


def _not_json(finding: Finding, text: str) -> Fault:
    """Say where, as an editor counts."""
    at = int(finding["loc"][-1])
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    message = f"the body is not valid JSON: line {line}, column {column}: {finding['ctx']['error']}"
    return Fault(message, INVALID_JSON)


def _misfit(findings: Sequence[Finding], body: object) -> Fault:
    """Name one place and all that it may be: the deepest below the first, for there it was meant.

    Of a value that may be this or that, pydantic finds fault with each.
    """
    places = [_place(finding, body) for finding in findings]
    first = next((place for place in places if place), ())
    deepest = max((place for place in places if place[: len(first)] == first), key=len)
    found = [one for one, place in zip(findings, places, strict=True) if place == deepest]
    param = ".".join(map(str, deepest)) or None
    message = _joined(found)
    return Fault(f"{param}: {message}" if param else message, param=param)


def _joined(findings: Sequence[Finding]) -> str:
    said = list(dict.fromkeys(str(one["msg"]).removeprefix("Value error, ") for one in findings))
    wishes = [one.removeprefix(SHOULD_BE) for one in said if one.startswith(SHOULD_BE)]
    return SHOULD_BE + " or ".join(wishes) if len(wishes) == len(said) > 1 else said[0]


def _place(finding: Finding, body: object) -> Place:
    """The fields and numbers that lead there; pydantic names the types that it tried as well."""
    loc: Place = tuple(finding["loc"])
    if loc[:1] in (("path",), ("query",), ("header",)):
        return loc[1:]
    loc = loc[1:] if loc[:1] == ("body",) else loc
    place: list[int | str] = []
    here = body
    for at, part in enumerate(loc, 1):
        if isinstance(here, Mapping) and part in here:
            here = here[str(part)]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (finding["type"] == "missing" and at == len(loc)):
            continue
        place.append(part)
    return tuple(place)
