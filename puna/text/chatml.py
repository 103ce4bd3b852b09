"""ChatML: <|im_start|>role, the content, <|im_end|>.

In: messages and tools.  Out: spans.  Does not know ids.  Sources: OpenAI's
ChatML; tools as Nous Research's Hermes writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from puna.chat import Message, Tool
from puna.errors import TemplateError
from puna.text.calls import CHATML
from puna.text.literals import Literals, read_literals
from puna.text.span import Span

ROLES = {"system": "system", "user": "user", "assistant": "assistant"} | dict.fromkeys(
    ("tool", "ipython"), "tool"
)

_TOOLS_BEFORE = (
    "You may call functions to help with the user's request. Their signatures, as JSON, "
    "are within <tools></tools>:\n<tools>\n"
)
_TOOLS_AFTER = (
    "\n</tools>\nFor each call return a JSON object with the function's name and its arguments "
    'within <tool_call></tool_call>:\n<tool_call>\n{"name": <name>, "arguments": <object>}\n'
    "</tool_call>"
)


class ChatMLTemplate:
    """Writes ChatML; `default_system` is said where a dialog brings no system message."""

    name = "chatml"
    calls = CHATML

    def __init__(self, *, default_system: str | None = None, bos: str = "") -> None:
        self._default_system = default_system
        self._bos = bos

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[Span]:
        """Write the dialog out; raises TemplateError for a role that ChatML lacks."""
        spans = [Span(self._bos, scaffold=True)] if self._bos else []
        for message in self._with_system(messages, tools):
            spans.extend(_turn(message))
        if add_generation_prompt:
            spans.append(Span("<|im_start|>assistant\n", scaffold=True))
        return spans

    def _with_system(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[Message]:
        given = messages[0].content if messages and messages[0].role == "system" else None
        said = [text for text in (self._default_system if given is None else given,) if text]
        if tools:
            said.append(_tools_text(tools))
        if said or given is not None:
            yield Message("system", "\n\n".join(said))
        yield from messages[0 if given is None else 1 :]


def recognise_chatml(source: str, *, bos: str = "") -> ChatMLTemplate | None:
    """Return the native template if the source can write nothing but plain ChatML."""
    literals = read_literals(source)
    if literals is None or literals.raw.strip() or not literals.names <= _KNOWN_NAMES:
        return None
    defaults = [m["text"] for s in literals.strings if (m := _DEFAULT_SYSTEM.fullmatch(s))]
    words = [s for s in literals.strings if not _DEFAULT_SYSTEM.fullmatch(s)]
    if len(defaults) > 1 or not all(_KNOWN_WORDS.fullmatch(word) for word in words):
        return None
    if not _ends_turns_with_newline(literals):
        return None
    starts = bos if "bos_token" in literals.names else ""
    return ChatMLTemplate(default_system=defaults[0] if defaults else None, bos=starts)


_KNOWN_NAMES = frozenset(
    (
        *("for", "in", "if", "elif", "else", "endif", "endfor", "set", "not", "is", "and", "or"),
        *("defined", "true", "false", "none", "loop", "first", "last", "index0"),
        *("messages", "loop_messages", "message", "role", "content"),
        *("add_generation_prompt", "bos_token"),
    )
)
_KNOWN_WORDS = re.compile(r"(<\|im_start\|>|<\|im_end\|>|system|user|assistant|role|content|\n)*")
_DEFAULT_SYSTEM = re.compile(r"<\|im_start\|>system\n(?P<text>[^<]+)<\|im_end\|>\n")


def _ends_turns_with_newline(literals: Literals) -> bool:
    """Whether "<|im_end|>" is always followed by a newline, in its own string or the next."""
    following = (*literals.strings[1:], "")
    return "<|im_end|>" in "".join(literals.strings) and all(
        not string.endswith("<|im_end|>") or after == "\n"
        for string, after in zip(literals.strings, following, strict=True)
    )


def _turn(message: Message) -> Iterator[Span]:
    role = ROLES.get(message.role)
    if role is None:
        raise TemplateError(f"ChatML has no role {message.role!r}; it has {', '.join(ROLES)}")
    yield Span(f"<|im_start|>{role}\n", scaffold=True)
    yield from _tool_result(message) if role == "tool" else _said(message)
    yield Span("<|im_end|>\n", scaffold=True)


def _said(message: Message) -> Iterator[Span]:
    if message.content:
        yield Span(message.content, scaffold=False)
    for index, call in enumerate(message.tool_calls):
        before = "\n" if message.content or index else ""
        text = f'{{"name": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}'
        yield Span(f"{before}<tool_call>\n", scaffold=True)
        yield Span(text, scaffold=False)
        yield Span("\n</tool_call>", scaffold=True)


def _tool_result(message: Message) -> Iterator[Span]:
    yield Span("<tool_response>\n", scaffold=True)
    yield Span(message.content, scaffold=False)
    yield Span("\n</tool_response>", scaffold=True)


def _tools_text(tools: Sequence[Tool]) -> str:
    return _TOOLS_BEFORE + "\n".join(json.dumps(as_openai(t)) for t in tools) + _TOOLS_AFTER


def as_openai(tool: Tool) -> dict[str, object]:
    """The tool as OpenAI's chat API writes it."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}
