"""The body of a response's request, read as the chat that it stands for.

In: JSON, and the items of earlier turns.  Out: a chat's request, and the items
to keep.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from puna.errors import InvalidParameterError
from puna.server.chat_request import MOST_MESSAGES, ChatRequest
from puna.server.fields import MOST_TOKENS, Body, ModelName, OfAStream, PlainObject
from puna.server.foreign import (
    CACHED,
    KEYED,
    NO_MODERATION,
    ONE_TIER,
    PLAIN,
    VERBOSE,
    Refused,
    unused,
)
from puna.server.responses.items import Items, Object, chat_messages
from puna.server.tool_choice import MOST_TOOLS, ToolName

NO_ZERO = r"^[^\x00]+$"  # PostgreSQL's text holds no zero byte
LOGPROBS = "message.output_text.logprobs"
# The others tell of things that no answer of ours holds, and so add nothing.
Includable = Literal[
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
ResponseId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NO_ZERO)]


class FunctionTool(Body):
    """A function that the model may call."""

    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: PlainObject | None = None
    strict: bool | None = None


class NamedTool(Body):
    """The one function that must be called."""

    type: Literal["function"]
    name: ToolName


class AllowedTools(Body):
    """The functions that may be called, or with "required" one of which must be."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=MOST_TOOLS)]


class PlainFormat(Body):
    """Text as it comes, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(Body):
    """JSON that keeps to a schema, always strictly."""

    type: Literal["json_schema"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[PlainObject, Field(alias="schema")]
    strict: bool | None = None


class TextOptions(Body):
    """What the text must look like."""

    format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Annotated[object, VERBOSE] = None


class ResponseRequest(Body):
    """The whole body."""

    model: ModelName
    input: Items
    instructions: str | None = None
    previous_response_id: ResponseId | None = None
    store: bool | None = None
    stream: bool | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MOST_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | AllowedTools | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[str, StringConstraints(max_length=64)],
                Annotated[str, StringConstraints(max_length=512)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    include: list[Includable] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream_options: OfAStream = None
    user: Annotated[str | None, KEYED] = None
    conversation: Annotated[None, Refused("send previous_response_id instead")] = None
    prompt: Annotated[None, Refused("none is kept here; send its text as instructions")] = None
    context_management: Annotated[None, Refused("send truncation instead")] = None
    moderation: Annotated[None, NO_MODERATION] = None
    access_programs: Annotated[object, unused("there are none")] = None
    background_options: Annotated[object, unused("it is begun at once")] = None
    image: Annotated[object, unused("no images are read")] = None
    max_tool_calls: Annotated[object, unused("no tools are built in")] = None
    prompt_cache_key: Annotated[object, CACHED] = None
    prompt_cache_options: Annotated[object, CACHED] = None
    prompt_cache_retention: Annotated[object, CACHED] = None
    reasoning: Annotated[object, PLAIN] = None
    safety_identifier: Annotated[object, KEYED] = None
    service_tier: Annotated[object, ONE_TIER] = None

    @model_validator(mode="after")
    def _check(self) -> ResponseRequest:
        if self.background and self.store is False:
            raise ValueError("background needs store: who asks later finds what was kept")
        return self

    @cached_property
    def items(self) -> list[Object]:
        """What was sent, as it is kept and listed."""
        return [item.item() for item in self.input]

    @property
    def wants_logprobs(self) -> bool:
        """Whether the text comes with the log-probabilities of its tokens."""
        return LOGPROBS in (self.include or ())

    def chat(self, earlier: Sequence[Object]) -> ChatRequest:
        """Return the chat that it stands for, after the items of earlier turns.

        InvalidParameterError where there is no such chat.
        """
        messages = chat_messages(self.instructions, [*earlier, *self.items])
        if len(messages) > MOST_MESSAGES:
            raise InvalidParameterError(
                f"the dialog has {len(messages)} turns, more than the {MOST_MESSAGES} that are "
                "read; begin a new one, with what matters of the old as instructions"
            )
        try:
            return self._chat(messages)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise InvalidParameterError(said) from None

    def _chat(self, messages: list[Object]) -> ChatRequest:
        return ChatRequest.model_validate(
            {
                "model": self.model,
                "messages": messages,
                "tools": [_chat_tool(tool) for tool in self.tools or ()] or None,
                "tool_choice": self._chat_choice(),
                "parallel_tool_calls": self.parallel_tool_calls,
                "response_format": self._chat_format(),
                "max_completion_tokens": self.max_output_tokens,
                "temperature": self.temperature,
                "top_p": self.top_p,
                "logprobs": self.wants_logprobs,
                "top_logprobs": self.top_logprobs if self.wants_logprobs else None,
            }
        )

    def echoed(self) -> Object:
        """Return the fields that the response repeats."""
        text = self.text or TextOptions()
        form = text.format or PlainFormat(type="text")
        choice = self.tool_choice
        return {
            "background": bool(self.background),
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": None,
            "metadata": self.metadata or {},
            "model": self.model,
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": self.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": self.store is not False,
            "text": {"format": form.model_dump(by_alias=True)},
            "tool_choice": choice.model_dump() if isinstance(choice, Body) else choice or "auto",
            "tools": [tool.model_dump() for tool in self.tools or ()],
            "top_logprobs": self.top_logprobs or 0,
            "truncation": self.truncation or "disabled",
            "user": self.user,
        }

    def _chat_choice(self) -> object:
        match self.tool_choice:
            case NamedTool(name=name):
                return _chat_name(name)
            case AllowedTools(mode=mode, tools=tools):
                allowed = {"mode": mode, "tools": [_chat_name(tool.name) for tool in tools]}
                return {"type": "allowed_tools", "allowed_tools": allowed}
            case choice:
                return choice

    def _chat_format(self) -> Object | None:
        form = self.text and self.text.format
        if isinstance(form, SchemaFormat):
            return {
                "type": "json_schema",
                "json_schema": {"name": form.name, "schema": form.schema_},
            }
        return {"type": form.type} if form else None


def _chat_name(name: str) -> Object:
    return {"type": "function", "function": {"name": name}}


def _chat_tool(tool: FunctionTool) -> Object:
    return {"type": "function", "function": tool.model_dump(exclude={"type"})}
