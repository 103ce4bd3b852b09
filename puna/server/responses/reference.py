"""What the routes of /v1/responses answer, for the API's description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from puna.server.reference import ScoredToken, Shape


class TextOutput(Shape):
    """A message's text."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[ScoredToken]


class MessageOutput(Shape):
    """What the assistant said."""

    id: str
    type: Literal["message"]
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["assistant"]
    content: list[TextOutput]


class CallOutput(Shape):
    """A function that the assistant calls."""

    id: str
    type: Literal["function_call"]
    status: Literal["in_progress", "completed", "incomplete"]
    call_id: str
    name: str
    arguments: str


class InputDetails(Shape):
    """Of the input's tokens."""

    cached_tokens: int


class OutputDetails(Shape):
    """Of the output's tokens."""

    reasoning_tokens: int


class ResponseUsage(Shape):
    """What a response took."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseFault(Shape):
    """Why it failed."""

    code: str
    message: str


class Incomplete(Shape):
    """Why it is incomplete."""

    reason: Literal["max_output_tokens"]


class Reasoning(Shape):
    """Llama does not reason apart from its answer."""

    effort: None
    summary: None


class ResponseShape(Shape):
    """A response, as far as it is."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    error: ResponseFault | None
    incomplete_details: Incomplete | None
    output: list[MessageOutput | CallOutput]
    usage: ResponseUsage | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None
    metadata: dict[str, str]
    model: str
    parallel_tool_calls: bool
    previous_response_id: str | None
    reasoning: Reasoning
    service_tier: Literal["default"]
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float
    truncation: Literal["auto", "disabled"]
    user: str | None


class DeletedResponse(Shape):
    """A response that is no more."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class SentItem(Shape):
    """One item of what was sent."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    status: Literal["completed"]
    role: str = ""
    content: list[dict[str, Any]] = Field(default=[])
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""


class ItemList(Shape):
    """A part of what was sent for a response."""

    object: Literal["list"]
    data: list[SentItem]
    first_id: str | None
    last_id: str | None
    has_more: bool
