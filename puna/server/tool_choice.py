"""Which of its tools an answer may call, and whether it must call one.

In: a chat's `tool_choice`, as OpenAI has it.  Out: names.  Knows no tool.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from puna.server.fields import Body

MOST_TOOLS = 128

ToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class FunctionName(Body):
    """Which function."""

    name: ToolName


class NamedTool(Body):
    """The one tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class Allowed(Body):
    """The tools that may be called, or with "required" one of which must be."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=MOST_TOOLS)]


class AllowedTools(Body):
    """Some of the tools: the model hears of all, and can call these alone."""

    type: Literal["allowed_tools"]
    allowed_tools: Allowed


ToolChoice = Literal["none", "auto", "required"] | NamedTool | AllowedTools | None


def chosen(choice: ToolChoice) -> list[str] | None:
    """Return the names that it names; None where it names none, so that all may be called."""
    match choice:
        case NamedTool(function=function):
            return [function.name]
        case AllowedTools(allowed_tools=allowed):
            return [tool.function.name for tool in allowed.tools]
        case _:
            return None


def must_call(choice: ToolChoice) -> bool:
    """Whether the answer must be a call."""
    if isinstance(choice, AllowedTools):
        return choice.allowed_tools.mode == "required"
    return choice == "required" or isinstance(choice, NamedTool)


def check_choice(choice: ToolChoice, offered: Collection[str]) -> None:
    """Raise ValueError where it asks for what is not offered."""
    if choice not in (None, "none", "auto") and not offered:
        raise ValueError("tool_choice asks for a call, but there are no tools")
    for name in chosen(choice) or ():
        if name not in offered:
            raise ValueError(f"tool_choice names {name!r}, which is not in tools")
