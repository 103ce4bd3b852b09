"""How a model writes its calls: the formats it was taught, the one it is told first.

In: the source of a chat template, or nothing.  Out: a CallStyle.  Knows no tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from puna.text.calls.builtin import BuiltinCall, Code
from puna.text.calls.format import PYTHON_TAG, CallFormat
from puna.text.calls.json_object import JsonObject
from puna.text.calls.python_list import PythonList
from puna.text.calls.tags import FunctionTag, ToolCallTag


@dataclass(frozen=True)
class CallStyle:
    """The formats of one model, the one that it is told to use first.

    `has_tag`: <|python_tag|> is a token of its vocabulary.
    """

    formats: tuple[CallFormat, ...]
    has_tag: bool = True

    @property
    def marks(self) -> tuple[str, ...]:
        """Control tokens that must be shown in an answer for its calls to be found."""
        return (PYTHON_TAG,) if self.has_tag else ()

    @property
    def triggers(self) -> tuple[str, ...]:
        """What no text before a call may hold."""
        return tuple(dict.fromkeys(one.trigger for one in self.formats if one.trigger))

    def openings(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return how an answer that is a row of calls may begin, all space left out."""
        return tuple(text for one in self.formats for text in one.openings(names))


_JSON, _FUNCTION, _PYTHON = JsonObject(), FunctionTag(), PythonList()
_BUILTINS = (BuiltinCall(), Code())

LLAMA = CallStyle((_JSON, _FUNCTION, _PYTHON, *_BUILTINS))
LLAMA_TAGS = CallStyle((_FUNCTION, _JSON, _PYTHON, *_BUILTINS))
LLAMA_PYTHON = CallStyle((_PYTHON, _JSON, _FUNCTION, *_BUILTINS))
CHATML = CallStyle((ToolCallTag(),), has_tag=False)

_PYTHON_EXAMPLE = re.compile(r"\[\w+\(\w+=")


def style_of(source: str) -> CallStyle:
    """Return the style of a template that only Jinja can run, by what it tells the model."""
    return next(_told(source), LLAMA)


def _told(source: str) -> Iterator[CallStyle]:
    if "<tool_call>" in source:
        yield CHATML
    if _PYTHON_EXAMPLE.search(source):
        yield LLAMA_PYTHON
    if "<function=" in source:
        yield LLAMA_TAGS
