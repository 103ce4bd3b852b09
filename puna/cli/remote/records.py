"""What a server answers, as the terminal uses it; what else stands in an answer is left out.

In: JSON of any server.  Out: plain data, every text of it safe to show; RemoteError for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from puna.cli.plain import plain
from puna.errors import RemoteError

Kind = TypeVar("Kind")
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Left:
    """What is left of a plan; `share` None where nothing is counted."""

    words: str
    share: float | None
    resets: str


@dataclass(frozen=True)
class Conversation:
    """One of the list."""

    id: str
    title: str
    model: str
    preset: str | None
    excerpt: str


@dataclass(frozen=True)
class Message:
    """What was said; `error` is why it broke off."""

    id: str
    role: str
    text: str
    outcome: str
    files: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    tokens: int | None
    error: dict[str, Any] | None


@dataclass(frozen=True)
class File:
    """An attached file."""

    id: str
    name: str
    words: str


@dataclass(frozen=True)
class Preset:
    """Who the assistant may be."""

    id: str
    name: str
    instructions: str


@dataclass(frozen=True)
class Model:
    """What may answer."""

    name: str
    context_tokens: int | None
    speed: float | None
    default: bool


@dataclass(frozen=True)
class Tool:
    """What a model may call."""

    name: str
    label: str
    description: str


@dataclass(frozen=True)
class Fact:
    """What is remembered, or proposed."""

    id: str
    text: str
    state: str


def read(kind: type[Kind], json: Any) -> Kind:
    """Return a record."""
    try:
        return kind(**{field.name: safe(json[field.name]) for field in fields(kind)})  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise strange() from error


def read_all(kind: type[Kind], json: Any) -> list[Kind]:
    """Return a list of records."""
    if not isinstance(json, list):
        raise strange()
    return [read(kind, one) for one in json]


def safe(json: Any) -> Any:
    """Return JSON whose texts hold no control characters."""
    match json:
        case str():
            return plain(json)
        case list():
            return [safe(one) for one in json]
        case dict():
            return {plain(name): safe(value) for name, value in json.items()}
    return json


def strange() -> RemoteError:
    """What is not as this Puna knows it."""
    return RemoteError("the server answers what this Puna does not understand; update one of them")
