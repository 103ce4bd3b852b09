"""The body of a chat request, as OpenAI has it.

In: JSON.  Out: messages, tools and the grammar that the answer must keep to.
Knows no model.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from puna.chat import Message, Tool, ToolCall
from puna.llm import LLM
from puna.llm.prepared import Prepared
from puna.server.fields import MOST_TOKENS, Body, ModelName, PlainObject, Sampling
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
from puna.server.parts import Content, text_of
from puna.server.tool_choice import (
    MOST_TOOLS,
    NamedTool,
    ToolChoice,
    ToolName,
    check_choice,
    chosen,
    must_call,
)
from puna.text.answer_grammar import Form, answer_grammar
from puna.text.grammar import Grammar

MOST_MESSAGES = 2048


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

    @model_validator(mode="after")
    def _check(self) -> ChatMessage:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError(f"a message of the role {self.role!r} needs content")
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("a tool's message needs tool_call_id, the call that it answers")
        return self

    def message(self) -> Message:
        """Return Puna's word for it."""
        return Message(
            "system" if self.role == "developer" else self.role,
            text_of(self.content or ""),
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
    tools: Annotated[list[ChatTool], Field(max_length=MOST_TOOLS)] | None = None
    tool_choice: ToolChoice = None

    @model_validator(mode="after")
    def _check_tools(self) -> Dialog:
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise ValueError("tools: two functions have the same name")
        check_choice(self.tool_choice, names)
        return self

    def said(self) -> list[Message]:
        """Return the dialog."""
        return [message.message() for message in self.messages]

    def offered(self) -> tuple[Tool, ...]:
        """Return the tools that the model hears of: none where it must call none."""
        return () if self.tool_choice == "none" else tuple(tool.tool() for tool in self.tools or ())

    def callable(self) -> tuple[Tool, ...]:
        """Return the tools that the answer may call."""
        names = chosen(self.tool_choice)
        return tuple(tool for tool in self.offered() if names is None or tool.name in names)

    @property
    def names_tool(self) -> bool:
        """Whether one certain tool must be called."""
        return isinstance(self.tool_choice, NamedTool)

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
    functions: Annotated[None, Refused("send tools")] = None
    function_call: Annotated[None, Refused("send tool_choice")] = None
    chat_template: Annotated[None, Refused("the model's own is used")] = None
    audio: Annotated[None, Refused("this model answers in text alone")] = None
    web_search_options: Annotated[None, Refused("nothing is looked up in the web")] = None
    moderation: Annotated[None, NO_MODERATION] = None
    metadata: Annotated[object, unused("chats are not kept")] = None
    store: Annotated[object, unused("chats are not kept; /v1/responses are")] = None
    prediction: Annotated[object, unused("what a prompt holds is guessed from it")] = None
    prompt_cache_key: Annotated[object, CACHED] = None
    prompt_cache_options: Annotated[object, CACHED] = None
    prompt_cache_retention: Annotated[object, CACHED] = None
    reasoning_effort: Annotated[object, PLAIN] = None
    safety_identifier: Annotated[object, KEYED] = None
    service_tier: Annotated[object, ONE_TIER] = None
    verbosity: Annotated[object, VERBOSE] = None

    @model_validator(mode="after")
    def _check_logprobs(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self

    def prepare(self, llm: LLM, cache_salt: str) -> list[Prepared]:
        """Do the work on text that comes before the engine."""
        sampling = self.sampling()
        if self._form() != "text":  # JSON and calls end by themselves, whole
            sampling.pop("stop", None)
        prepared = llm.language.prepare(
            self.said(),
            tools=self.offered(),
            may_call=self.callable(),
            grammar=self._grammar(llm),
            cache_salt=cache_salt,
            max_tokens=self._most_tokens(),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            **sampling,
        )
        return [prepared]

    def _most_tokens(self) -> int | None:
        given = self.max_completion_tokens
        return self.max_tokens if given is None else given

    def _grammar(self, llm: LLM) -> Grammar | None:
        """Return what the answer must keep to, or nothing."""
        parallel = self.parallel_tool_calls is not False
        calls = llm.language.calls
        return answer_grammar(
            calls, self.callable(), self._form(), self._schema(), parallel=parallel
        )

    def _form(self) -> Form:
        if must_call(self.tool_choice):
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
