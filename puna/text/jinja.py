"""A template that only Jinja can run: the model file's own.

In: messages and tools.  Out: spans.  The template runs in a child process, with
limits, and sees placeholders instead of what people wrote.  Does not know ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from puna.chat import Message, Tool, ToolCall
from puna.errors import TemplateError
from puna.text.calls import style_of
from puna.text.chatml import as_openai
from puna.text.child_process import ChildLimits, ChildProcess, ChildRefusedError, ChildStoppedError
from puna.text.placeholders import Placeholders
from puna.text.span import Span
from puna.text.tokenizer import Tokenizer

LONGEST_SOURCE = 256 * 1024  # characters
LIMITS = ChildLimits(
    kind="template",
    cpu_s=1.0,
    wall_s=1.0,
    memory_bytes=64 * 2**20,
    output_characters=4 * 2**20,
)

# Templates that look into contents (to cut out a model's thoughts, say) must see them.
_LOOKS_INSIDE = re.compile(
    r"\.(?:r|l)?(?:split|strip|find|replace|partition|startswith|endswith)\(\s*['\"\w]"
    r"|\|\s*(?:replace|upper|lower|title|capitalize|truncate|wordwrap|length)"
    r"|['\"]\s+(?:not\s+)?in\s+(?:message(?:\.|\[['\"]))?content"
)

Show = Callable[[str], str]


class JinjaTemplate:
    """Renders with the file's template; `tool_source` is its variant for dialogs with tools."""

    name = "jinja"

    def __init__(
        self, source: str, tokenizer: Tokenizer, *, tool_source: str | None = None
    ) -> None:
        self._source = source
        self._tool_source = tool_source or source
        self._tokenizer = tokenizer
        self._child = ChildProcess(LIMITS)
        self.calls = style_of(self._tool_source)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[Span]:
        """Render; raises TemplateError if the template refuses, fails or passes a limit."""
        source = self._tool_source if tools else self._source
        if len(source) > LONGEST_SOURCE:
            raise TemplateError(
                f"the model file's chat template has {len(source)} characters, more than the "
                f"{LONGEST_SOURCE} that Puna runs; use a file with another template"
            )
        if not _LOOKS_INSIDE.search(source):
            spans = self._render(source, messages, tools, add_generation_prompt, hide_all=True)
            if spans is not None:
                return spans
        spans = self._render(source, messages, tools, add_generation_prompt, hide_all=False)
        if spans is None:
            raise TemplateError("the model file's chat template takes control tokens apart")
        return spans

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    def _render(
        self,
        source: str,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        add_generation_prompt: bool,
        *,
        hide_all: bool,
    ) -> list[Span] | None:
        placeholders = Placeholders()
        careful = placeholders.stand_in_where_needed
        variables = {
            "messages": [
                _as_openai(message, self._show(message, placeholders, hide_all), careful)
                for message in messages
            ],
            "tools": [_hidden(as_openai(tool), careful) for tool in tools] or None,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self._text_of(self._tokenizer.bos_id),
            "eos_token": self._text_of(self._tokenizer.eos_id),
        }
        request = {"source": source, "mark": placeholders.mark, "variables": variables}
        return placeholders.spans(self._run(request))

    def _run(self, request: dict[str, Any]) -> str:
        try:
            return self._child.ask(request)
        except ChildRefusedError as reason:
            raise TemplateError(
                f"the model file's chat template refused the messages: {reason}"
            ) from None
        except ChildStoppedError as reason:
            raise TemplateError(
                f"the model file's chat template {reason} and was stopped; "
                "use a file with another template"
            ) from None

    def _show(self, message: Message, placeholders: Placeholders, hide_all: bool) -> Show:
        """Hide the whole content, or only the characters with which a control token begins.

        Without its first character no control token comes about, also where a
        template writes two contents side by side.  What a model thought it
        marked itself, and templates cut it out by that mark.
        """
        if hide_all:
            return placeholders.stand_in
        starts = "|".join(sorted({re.escape(text[0]) for text in self._tokenizer.special}))
        spared = r"(?!</?think>)" if message.role == "assistant" else ""
        pattern = re.compile(f"{spared}(?:{starts})" if starts else r"(?!)")
        return lambda text: placeholders.hide_each(pattern, text)

    def _text_of(self, token_id: int | None) -> str:
        return "" if token_id is None else self._tokenizer.token_text(token_id)


def _as_openai(message: Message, show: Show, careful: Show) -> dict[str, Any]:
    """The message as OpenAI's chat API writes it, its strings shown as `show` says."""
    fields: dict[str, Any] = {"role": careful(message.role), "content": show(message.content)}
    if message.name is not None:
        fields["name"] = careful(message.name)
    if message.tool_call_id is not None:
        fields["tool_call_id"] = careful(message.tool_call_id)
    if message.tool_calls:
        fields["tool_calls"] = [_call(call, careful) for call in message.tool_calls]
    return fields


def _call(call: ToolCall, careful: Show) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = call.arguments
    function = {"name": careful(call.name), "arguments": _hidden(arguments, careful)}
    return {"id": careful(call.id), "type": "function", "function": function}


def _hidden(value: Any, careful: Show) -> Any:
    """A JSON value whose strings, keys too, are placeholders where they need to be."""
    if isinstance(value, str):
        return careful(value)
    if isinstance(value, Mapping):
        return {careful(str(key)): _hidden(inner, careful) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(inner, careful) for inner in value]
    return value
