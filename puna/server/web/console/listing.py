"""What a page of the console is made of: a table, and forms that change what it lists.

Plain values in; the template `console/listing.html` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Cell:
    """A value in a row; a tag is drawn as a small label."""

    text: str
    right: bool = False
    tag: Literal["", "on", "off", "bad"] = ""


@dataclass(frozen=True)
class Action:
    """A button at the end of a row."""

    label: str
    url: str
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"] = "POST"  # GET: a file to keep
    sure: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Cells and what can be done with their subject; `pull` names a download that runs."""

    cells: Sequence[Cell]
    actions: Sequence[Action] = ()


@dataclass(frozen=True)
class Field:
    """One thing that a form asks for."""

    name: str
    label: str
    kind: Literal["text", "email", "password", "number", "select"] = "text"
    options: Sequence[tuple[str, str]] = ()
    value: str = ""
    hint: str = ""
    required: bool = True
    step: str = "1"


@dataclass(frozen=True)
class Example:
    """What to do with what is shown once: a text in which KEY stands for it."""

    words: str
    text: str


@dataclass(frozen=True)
class Form:
    """Fields and a button; `secret` where the answer holds something that is shown once.

    `hidden` travels with the fields.
    """

    heading: str
    url: str
    fields: Sequence[Field]
    button: str
    method: Literal["POST", "PATCH", "PUT"] = "POST"
    secret: str = ""
    example: Example | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """The whole page."""

    tab: str
    heading: str
    lead: str
    columns: Sequence[str]
    rows: Sequence[Row]
    forms: Sequence[Form] = ()
    empty: str = "Nothing yet."
