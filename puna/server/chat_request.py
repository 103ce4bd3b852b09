"""The body of a chat request, as OpenAI has it.

In: JSON.  Out: messages, tools and the grammar that the answer must keep to.
Knows no model.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from puna.chat import Message, Tool, ToolCall
from puna.llm import LLM
from puna.llm.prepared import Prepared
from puna.server.fields import MOST_TOKENS, Body, ModelName, PlainObject, Sampling
from puna.text.answer_grammar import Form, answer_grammar

MOST_MESSAGES = 2048

ToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class TextPart(Body):
    """A piece of a message; Llama 3 reads text."""

    type: Literal["text"]
    text: str


Content = str | list[TextPart]
OTHER_PARTS = ("image_url", "image", "input_image", "input_audio", "audio", "video_url", "file")


class FunctionCalled(Body):
    """The call of a function; `arguments` is JSON text."""

    name: ToolName
    arguments: str


class CallMade(Body):
    """A call that the assistant asked for in an earlier turn."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCalled

    def tool_call(self) -> ToolCall:
        """Return Puna's word for it."""
        return ToolCall(self.id, self.function.name, self.function.arguments)


class ChatMessage(Body):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    tool_calls: Annotated[list[CallMade], Field(max_length=128)] | None = None
    tool_call_id: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _refuse_other_than_text(cls, value: object) -> object:
        for part in value if isinstance(value, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in OTHER_PARTS:
                raise ValueError(f"a part has the type {kind!r}, and this model reads text alone")
        return value

    @model_validator(mode="after")
    def _check(self) -> ChatMessage:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError(f"a message of the role {self.role!r} needs content")
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("a tool's message needs tool_call_id, the call that it answers")
        return self

    def message(self) -> Message:
        """Return Puna's word for it."""
        parts = (
            [self.content]
            if isinstance(self.content, str)
            else [p.text for p in self.content or ()]
        )
        return Message(
            "system" if self.role == "developer" else self.role,
            "".join(parts),
            tuple(call.tool_call() for call in self.tool_calls or ()),
            self.tool_call_id,
            self.name,
        )


class Function(Body):
    """What a tool is called and takes."""

    name: ToolName
    description: str | None = None
    parameters: PlainObject | None = None
    strict: bool | None = None


class ChatTool(Body):
    """A function that the model may call."""

    type: Literal["function"]
    function: Function

    def tool(self) -> Tool:
        """Return Puna's word for it."""
        function = self.function
        return Tool(
            function.name,
            function.description or "",
            function.parameters or {},
            bool(function.strict),
        )


class FunctionName(Body):
    """Which function."""

    name: ToolName


class NamedTool(Body):
    """The one tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class PlainFormat(Body):
    """Text as it comes, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaGiven(Body):
    """A JSON schema under a name."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[PlainObject, Field(alias="schema")]
    strict: bool | None = None


class SchemaFormat(Body):
    """JSON that keeps to a schema, always strictly."""

    type: Literal["json_schema"]
    json_schema: SchemaGiven


class Dialog(Sampling):
    """What makes the prompt of a chat: also what can be counted."""

    model: ModelName
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    tools: Annotated[list[ChatTool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None

    @model_validator(mode="after")
    def _check_tools(self) -> Dialog:
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise ValueError("tools: two functions have the same name")
        choice = self.tool_choice
        if choice not in (None, "none", "auto") and not names:
            raise ValueError("tool_choice asks for a call, but there are no tools")
        if isinstance(choice, NamedTool) and choice.function.name not in names:
            raise ValueError(f"tool_choice names {choice.function.name!r}, which is not in tools")
        return self

    def said(self) -> list[Message]:
        """Return the dialog."""
        return [message.message() for message in self.messages]

    def offered(self) -> tuple[Tool, ...]:
        """Return the tools that the model hears of: none where it must call none."""
        return () if self.tool_choice == "none" else tuple(tool.tool() for tool in self.tools or ())

    def count(self, llm: LLM) -> int:
        """Return how many tokens the prompt takes."""
        return llm.count_prompt(self.said(), self.offered())


class ChatRequest(Dialog):
    """The whole body."""

    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    parallel_tool_calls: bool | None = None
    response_format: PlainFormat | SchemaFormat | None = Field(None, discriminator="type")
    modalities: list[Literal["text"]] | None = None
    functions: None = None
    function_call: None = None
    chat_template: None = None

    @field_validator("functions", "function_call", "chat_template", mode="before")
    @classmethod
    def _refuse(cls, value: object) -> None:
        if value is not None:
            raise ValueError(
                "is not accepted; send tools and tool_choice, and leave templates to us"
            )

    @model_validator(mode="after")
    def _check_logprobs(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self

    @property
    def calls_one(self) -> bool:
        """Whether an answer may hold one call at most."""
        return self.parallel_tool_calls is False

    @property
    def names_tool(self) -> bool:
        """Whether one certain tool must be called."""
        return isinstance(self.tool_choice, NamedTool)

    def prepare(self, llm: LLM, cache_salt: str) -> list[Prepared]:
        """Do the work on text that comes before the engine."""
        parallel = not self.calls_one
        grammar = answer_grammar(
            llm.calls, self._callable(), self._form(), self._schema(), parallel=parallel
        )
        limit = (
            self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        )
        sampling = self.sampling()
        if self._form() != "text":  # JSON and calls end by themselves, whole
            sampling.pop("stop", None)
        return [
            llm.prepare(
                self.said(),
                tools=self.offered(),
                grammar=grammar,
                cache_salt=cache_salt,
                max_tokens=limit,
                logprobs=(self.top_logprobs or 0) if self.logprobs else None,
                **sampling,
            )
        ]

    def _callable(self) -> tuple[Tool, ...]:
        """Return the tools that the answer may call."""
        choice = self.tool_choice
        named = choice.function.name if isinstance(choice, NamedTool) else None
        return tuple(tool for tool in self.offered() if named in (None, tool.name))

    def _form(self) -> Form:
        if self.tool_choice == "required" or self.names_tool:
            return "calls"
        return "text" if self._schema() is None else "json"

    def _schema(self) -> str | None:
        match self.response_format:
            case SchemaFormat(json_schema=given):
                return json.dumps(given.schema_)
            case PlainFormat(type="json_object"):
                return '{"type": "object"}'
            case _:
                return None
