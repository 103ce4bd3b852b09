"""Llama 3's dialog format, with the tools of 3.1.

In: messages and tools.  Out: spans.  Does not know ids.  Sources: Meta's
"Llama 3.1 prompt formats", ChatFormat in llama-models, and the template that
Meta publishes with the weights; docs/decisions/0002 says which rules where.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from puna.chat import Message, Tool, ToolCall
from puna.errors import TemplateError
from puna.text.calls import LLAMA, LLAMA_TAGS, CallStyle
from puna.text.calls.builtin import BUILTIN_TOOLS
from puna.text.chatml import as_openai
from puna.text.literals import Literals, read_literals
from puna.text.span import Span

ToolFormat = Literal["json", "function_tag"]

_ROLES = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "ipython",
    "ipython": "ipython",
}
_PUBLISHED_DATE = "26 Jul 2024"


def published_date() -> str:
    """The date that Llama 3.1's template says whatever the day."""
    return _PUBLISHED_DATE


def date_today() -> str:
    """Today as Llama 3.2's template says it: 24 Nov 2026."""
    return datetime.now().strftime("%d %b %Y")


class Llama31Template:
    """Writes Llama 3's headers and turns.

    `dated`: the system message opens with the two date lines, and there always
    is one (3.1 and later; 3.0 has neither).  `tool_format` is how the model is
    told to write calls of custom tools.
    """

    name = "llama31"

    def __init__(
        self,
        *,
        dated: bool = True,
        today: Callable[[], str] = published_date,
        tool_format: ToolFormat = "json",
    ) -> None:
        self._dated = dated
        self._today = today
        self._tool_format: ToolFormat = tool_format
        self.calls: CallStyle = LLAMA if tool_format == "json" else LLAMA_TAGS

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[Span]:
        """Write the dialog out; raises TemplateError for one that Llama 3 cannot have."""
        spans = [_scaffold("<|begin_of_text|>")]
        for message in self._dialog(messages, tools):
            spans.extend(self._turn(message))
        if add_generation_prompt:
            spans.append(_header("assistant"))
        return spans

    def _dialog(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[Message]:
        """The messages, with what the system and the first user must say about tools."""
        given = messages[0] if messages and messages[0].role == "system" else None
        preamble = self._preamble(tools)
        if given or preamble:
            yield Message("system", preamble + (given.content if given else ""))
        custom = [tool for tool in tools if tool.name not in BUILTIN_TOOLS]
        rest = messages[1:] if given else messages
        yield from _with_tools(rest, self._instructions(custom)) if custom else rest

    def _preamble(self, tools: Sequence[Tool]) -> str:
        builtin = [tool.name for tool in tools if tool.name in BUILTIN_TOOLS]
        listed = [name for name in builtin if name != "code_interpreter"]
        lines = "Environment: ipython\n" if tools else ""
        if listed:
            lines += f"Tools: {', '.join(listed)}\n\n"
        if self._dated:
            lines += f"Cutting Knowledge Date: December 2023\nToday Date: {self._today()}\n\n"
        return lines

    def _instructions(self, tools: Sequence[Tool]) -> str:
        if self._tool_format == "json":
            listed = (json.dumps(as_openai(tool), indent=4, ensure_ascii=False) for tool in tools)
            return _JSON_CALLS + "".join(f"{text}\n\n" for text in listed)
        return _TAG_BEFORE + "".join(_described(tool) for tool in tools) + _TAG_AFTER

    def _turn(self, message: Message) -> Iterator[Span]:
        role = _ROLES.get(message.role)
        if role is None:
            raise TemplateError(f"Llama 3 has no role {message.role!r}; it has {', '.join(_ROLES)}")
        yield _header(role)
        builtin = any(call.name in BUILTIN_TOOLS for call in message.tool_calls)
        if builtin:
            yield _scaffold("<|python_tag|>")
        if message.content:
            yield _content(message.content)
        yield from (_content(self._call(call)) for call in message.tool_calls)
        yield _scaffold("<|eom_id|>" if builtin else "<|eot_id|>")

    def _call(self, call: ToolCall) -> str:
        arguments = _arguments(call)
        if call.name == "code_interpreter" and isinstance(arguments, dict):
            return str(arguments.get("code", ""))
        if call.name in BUILTIN_TOOLS and isinstance(arguments, dict):
            given = ", ".join(f'{key}="{value}"' for key, value in arguments.items())
            return f"{call.name}.call({given})"
        if self._tool_format == "function_tag":
            return f"<function={call.name}>{json.dumps(arguments)}</function>"
        return json.dumps({"type": "function", "name": call.name, "parameters": arguments})


def recognise_llama3(source: str) -> Llama31Template | None:
    """Return the native template if the source says nothing but what Meta's templates say."""
    literals = read_literals(source)
    if literals is None or not _says_only_what_meta_says(literals):
        return None
    dated = "Cutting Knowledge Date: December 2023\n" in literals.strings
    return Llama31Template(
        dated=dated, today=date_today if "strftime_now" in literals.names else published_date
    )


def _says_only_what_meta_says(literals: Literals) -> bool:
    turn = {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"}
    said = {string for string in literals.strings if string.strip()}
    return not literals.raw.strip() and turn <= said <= _META_STRINGS


_JSON_CALLS = (
    "Given the following functions, please respond with a JSON for a function call "
    "with its proper arguments that best answers the given prompt.\n\n"
    'Respond in the format {"name": function name, "parameters": dictionary of argument name '
    "and its value}.Do not use variables.\n\n"
)
_TAG_BEFORE = "You have access to the following functions:\n\n"
_TAG_AFTER = """\
Think very carefully before calling functions.
If you choose to call a function ONLY reply in the following format with no prefix or suffix:

<function=example_function_name>{"example_name": "example_value"}</function>

Reminder:
- If looking for real time information use relevant functions before falling back to brave_search
- Function calls MUST follow the specified format, start with <function= and end with </function>
- Required parameters MUST be specified
- Only call one function at a time
- Put the entire function call reply on one line

"""

# All that the templates published with Llama 3, 3.1, 3.2 and 3.3 can say or ask about.
_META_STRINGS = frozenset(
    (
        *("role", "content", "system", "user", "assistant", "tool", "ipython", "tool_calls"),
        *("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", "<|eom_id|>"),
        *(f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in set(_ROLES.values())),
        *("<|python_tag|>", ".call(", ")", ", ", '="', '"', '{"name": "', '", ', "}"),
        *('"parameters": ', "equalto", "code_interpreter", "Tools: ", "Environment: ipython\n"),
        *("Cutting Knowledge Date: December 2023\n", "Today Date: ", _PUBLISHED_DATE, "%d %b %Y"),
        "You have access to the following functions. To call a function, please respond with "
        "JSON for a function call.",
        "Given the following functions, please respond with a JSON for a function call ",
        "with its proper arguments that best answers the given prompt.\n\n",
        'Respond in the format {"name": function name, "parameters": dictionary of argument '
        "name and its value}.",
        "Do not use variables.\n\n",
        "This model only supports single tool-calls at once!",
        "Cannot put tools in the first user message when there's no first user message!",
    )
)


def _with_tools(messages: Sequence[Message], instructions: str) -> Iterator[Message]:
    first = next((i for i, message in enumerate(messages) if message.role == "user"), None)
    if first is None:
        raise TemplateError("Llama 3.1 reads its tools in the first user message; add one")
    yield from messages[:first]
    yield Message("user", instructions + messages[first].content)
    yield from messages[first + 1 :]


def _described(tool: Tool) -> str:
    definition = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    text = json.dumps(definition, ensure_ascii=False)
    return f"Use the function '{tool.name}' to '{tool.description}':\n{text}\n\n"


def _arguments(call: ToolCall) -> Any:
    """The arguments as an object; text that is no JSON stays the text that it is."""
    try:
        return json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return call.arguments


def _header(role: str) -> Span:
    return _scaffold(f"<|start_header_id|>{role}<|end_header_id|>\n\n")


def _scaffold(text: str) -> Span:
    return Span(text, scaffold=True, apart=True)


def _content(text: str) -> Span:
    return Span(text, scaffold=False, apart=True)
