"""The body of a response's request, read as the chat that it stands for.

In: JSON, and the items of earlier turns.  Out: a chat's request, and the items
to keep.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from puna.server.chat_request import ChatRequest, ToolName
from puna.server.fields import MOST_TOKENS, Body, ModelName, PlainObject
from puna.server.response_items import Items, Object, chat_messages

NO_ZERO = r"^[^\x00]+$"  # PostgreSQL's text holds no zero byte
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
    verbosity: str | None = None


class ResponseRequest(Body):
    """The whole body."""

    model: ModelName
    input: Items
    instructions: str | None = None
    previous_response_id: ResponseId | None = None
    store: bool | None = None
    stream: bool | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
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
    truncation: Literal["disabled"] | None = None
    background: Literal[False] | None = None
    user: str | None = None
    conversation: None = None
    prompt: None = None

    @field_validator("conversation", "prompt", mode="before")
    @classmethod
    def _refuse(cls, value: object) -> None:
        if value is not None:
            raise ValueError("is not supported; send input and previous_response_id")

    @model_validator(mode="after")
    def _check_chat(self) -> ResponseRequest:
        try:
            self.chat(())
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return self

    @cached_property
    def items(self) -> list[Object]:
        """What was sent, as it is kept and listed."""
        return [item.item() for item in self.input]

    def chat(self, earlier: Sequence[Object]) -> ChatRequest:
        """Return the chat that it stands for, after the items of earlier turns."""
        return ChatRequest.model_validate(
            {
                "model": self.model,
                "messages": chat_messages(self.instructions, [*earlier, *self.items]),
                "tools": [_chat_tool(tool) for tool in self.tools or ()] or None,
                "tool_choice": self._chat_choice(),
                "parallel_tool_calls": self.parallel_tool_calls,
                "response_format": self._chat_format(),
                "max_completion_tokens": self.max_output_tokens,
                "temperature": self.temperature,
                "top_p": self.top_p,
            }
        )

    def echoed(self) -> Object:
        """Return the fields that the response repeats."""
        text = self.text or TextOptions()
        form = text.format or PlainFormat(type="text")
        choice = self.tool_choice
        return {
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
            "tool_choice": choice.model_dump()
            if isinstance(choice, NamedTool)
            else choice or "auto",
            "tools": [tool.model_dump() for tool in self.tools or ()],
            "top_logprobs": 0,
            "truncation": "disabled",
            "user": self.user,
        }

    def _chat_choice(self) -> object:
        if isinstance(self.tool_choice, NamedTool):
            return {"type": "function", "function": {"name": self.tool_choice.name}}
        return self.tool_choice

    def _chat_format(self) -> Object | None:
        form = self.text and self.text.format
        if isinstance(form, SchemaFormat):
            return {
                "type": "json_schema",
                "json_schema": {"name": form.name, "schema": form.schema_},
            }
        return {"type": form.type} if form else None


def _chat_tool(tool: FunctionTool) -> Object:
    return {"type": "function", "function": tool.model_dump(exclude={"type"})}
