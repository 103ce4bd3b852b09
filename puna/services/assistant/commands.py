"""Tools that the person calls, where a model cannot be trusted to: /calc 12 * 7.

In: what was typed.  Out: the call that it stands for.  Knows no tool and no model.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from puna.chat import ToolCall

HELP = "/calc 12 * 7  ·  /date +45  ·  /date Asia/Tokyo  ·  /search words in your files"

_TYPED = re.compile(r"/(calc|date|search)(?:\s+(\S.*))?\s*", re.DOTALL)
_STEP = re.compile(r"([+-]\d{1,6})(?:\s*(day|month|year)s?)?")


@dataclass(frozen=True)
class Command:
    """A call; with a `question`, the model reads what it yields and answers that."""

    call: ToolCall
    question: str = ""


def command_in(text: str) -> Command | None:
    """Return the command that a message is, or None where it is something to be answered."""
    typed = _TYPED.fullmatch(text.strip())
    if typed is None or (typed[2] is None and typed[1] != "date"):
        return None
    given = (typed[2] or "").strip()
    if typed[1] == "calc":
        return Command(_call("calculate", {"expression": given}))
    if typed[1] == "date":
        return Command(_call("date", _date_arguments(given)))
    question = f"What do these passages say about this: {given}"
    return Command(_call("search_files", {"query": given}), question)


def _date_arguments(given: str) -> dict[str, Any]:
    """A step from today, a time zone, or a date."""
    if step := _STEP.fullmatch(given):
        return {f"add_{step[2] or 'day'}s": int(step[1])}
    if re.search(r"[A-Za-z]", given):
        return {"time_zone": given.replace(" ", "_")}
    return {"date": given} if given else {}


def _call(tool: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall.new(tool, json.dumps(arguments))
