"""Calls within tags: <function=name>{…}</function> and <tool_call>{…}</tool_call>.

In: text; tools.  Out: the calls in it; rules for a grammar.  Text may stand before them.
The first is Llama 3.1's for tools of one's own, the second Hermes' in ChatML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from puna.text.calls.format import (
    SPACE,
    CallFormat,
    Reading,
    Signature,
    Written,
    literal,
    object_text,
    one_of,
    pattern,
    row_of,
)
from puna.text.calls.json_object import call_at, cut_arguments

_FUNCTION = re.compile(r"<function=([\w.:-]{1,128})>")


class FunctionTag(CallFormat):
    """The name within the tag, the arguments between it and its end."""

    name = "function"
    trigger = "<function="

    def read(self, text: str, place: int) -> Reading | None:
        """Read one call; the closing tag may be missing at the end."""
        tag = _FUNCTION.match(text, place)
        if tag is None:
            return None
        read = object_text(text, tag.end())
        if read is None:
            return Reading((cut_arguments(tag[1], text, tag.end()),), len(text), cut=True)
        return Reading((Written(tag[1], read[0]),), _past(text, read[1], "</function>"))

    def rules(self, tools: Sequence[Signature], most: int) -> str:
        """Return Lark for `function_calls`, after the first trigger."""
        calls = [
            f"{literal(tool.name + '>')} {tool.arguments} {literal('</function>')}"
            for tool in tools
        ]
        return _rules(self.name, self.trigger, calls, most)


class ToolCallTag(CallFormat):
    """A JSON object with name and arguments between the tags."""

    name = "tool_call"
    trigger = "<tool_call>"

    def read(self, text: str, place: int) -> Reading | None:
        """Read one call; the closing tag may be missing at the end."""
        call = call_at(text, place + len(self.trigger))
        return call and replace(call, end=_past(text, call.end, "</tool_call>"))

    def rules(self, tools: Sequence[Signature], most: int) -> str:
        """Return Lark for `tool_call_calls`, after the first trigger."""
        close = "/[ \\n]?\\}[ \\n]{0,2}<\\/tool_call>/"
        calls = [f"{_opening(tool)} {tool.arguments} {close}" for tool in tools]
        return _rules(self.name, self.trigger, calls, most)


def _opening(tool: Signature) -> str:
    """Return a lexeme for an object's beginning, up to its arguments."""
    return f'/{SPACE}\\{{ ?"name" ?: ?"{pattern(tool.name)}" ?, ?"arguments" ?: ?/'


def _rules(name: str, trigger: str, calls: Sequence[str], most: int) -> str:
    return "\n".join(
        [
            f"{name}_calls: {row_of(f'{name}_call', f'{name.upper()}_NEXT', most)}",
            f"{name}_call: {one_of(name, calls)}",
            *(f"{name}_{at}: {call}" for at, call in enumerate(calls)),
            f"{name.upper()}_NEXT: /\\n{{0,2}}{trigger}/\n",
        ]
    )


def _past(text: str, place: int, closing: str) -> int:
    after = place + len(text[place:]) - len(text[place:].lstrip())
    return after + len(closing) if text.startswith(closing, after) else place
