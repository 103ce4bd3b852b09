"""Llama 3.1's built-in tools: brave_search.call(query="…"), and Python for the interpreter.

In: text; tools.  Out: the call in it; rules for a grammar.  Both stand after <|python_tag|>.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from puna.text.calls.format import (
    PYTHON_TAG,
    CallFormat,
    Reading,
    Signature,
    literal,
    written,
)

INTERPRETER = "code_interpreter"
SEARCHES = ("brave_search", "wolfram_alpha")
BUILTIN_TOOLS = (*SEARCHES, INTERPRETER)

_CALL = re.compile(r'\s*([\w.-]{1,128})\.call\((\w{1,64})="([^"]*)"\)\s*')


class BuiltinCall(CallFormat):
    """A search: one argument, in quotes."""

    name = "builtin"
    trigger = PYTHON_TAG

    def can_write(self, tool: Signature) -> bool:
        """Tell whether it is one of the searches."""
        return tool.name in SEARCHES

    def read(self, text: str, place: int) -> Reading | None:
        """Read one call."""
        call = _CALL.fullmatch(text, place + len(PYTHON_TAG))
        return call and Reading((written(call[1], {call[2]: call[3]}),), call.end())

    def rules(self, tools: Sequence[Signature], most: int) -> str:  # noqa: ARG002
        """Return Lark for `builtin_calls`, one of the searches that are offered."""
        calls = [f'{literal(tool.name + ".call(query=")} BUILTIN_QUERY ")"' for tool in tools]
        return f'builtin_calls: {" | ".join(calls)}\nBUILTIN_QUERY: /"[^"\\n]{{1,400}}"/\n'


class Code(CallFormat):
    """Whatever follows the tag is the interpreter's."""

    name = "code"
    trigger = PYTHON_TAG

    def can_write(self, tool: Signature) -> bool:
        """Tell whether it is the interpreter."""
        return tool.name == INTERPRETER

    def read(self, text: str, place: int) -> Reading | None:
        """Read all that follows."""
        code = text[place + len(PYTHON_TAG) :]
        return Reading((written(INTERPRETER, {"code": code}),), len(text)) if code.strip() else None

    def rules(self, tools: Sequence[Signature], most: int) -> str:  # noqa: ARG002
        """Return Lark for `code_calls`."""
        return "code_calls: /(?s:.+)/\n"
