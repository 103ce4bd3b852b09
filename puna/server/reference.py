"""What each route answers, for the API's description: every field, and no other.

In: nothing.  Out: models that are written into OpenAPI.  Answers are built as plain objects
elsewhere, not checked against these while serving; tests hold the one against the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FinishReason = Literal["stop", "length", "tool_calls"]


class Shape(BaseModel):
    """An object with these fields alone."""

    model_config = ConfigDict(extra="forbid")


class Health(Shape):
    """Whether the server can answer; the reason, if not."""

    status: Literal["ok", "unavailable"]
    reason: str = ""


class CountedTokens(Shape):
    """How many tokens a prompt takes."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class PromptDetails(Shape):
    """Of the prompt's tokens."""

    cached_tokens: int
    audio_tokens: int


class CompletionDetails(Shape):
    """Of the answer's tokens."""

    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Spending(Shape):
    """What was asked and charged; money in millionths of the currency."""

    day: str = ""
    key: str = ""
    model: str = ""
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_micros: int
    currency: str


class SpendingList(Shape):
    """A row for each group that was asked for."""

    object: Literal["list"]
    data: list[Spending]


class UsageShape(Shape):
    """What a request took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class TimingsShape(Shape):
    """Where the time went, as llama.cpp says it."""

    cache_n: int
    queued_ms: float
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float


class Called(Shape):
    """A function's name, and its arguments as JSON text."""

    name: str
    arguments: str


class CallShape(Shape):
    """A call that the model asks for."""

    id: str
    type: Literal["function"]
    function: Called


class AssistantMessage(Shape):
    """The assistant's turn."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Any]
    tool_calls: list[CallShape] = Field(default=[], min_length=1)


class TokenScore(Shape):
    """A token and its log-probability."""

    token: str
    logprob: float
    bytes: list[int]


class ScoredToken(TokenScore):
    """A token of the answer, with the likeliest in its place."""

    top_logprobs: list[TokenScore]


class ChatLogprobs(Shape):
    """Of an answer's tokens."""

    content: list[ScoredToken]
    refusal: None


class ChatChoice(Shape):
    """One answer."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class AnswerShape(Shape):
    """What completions of both kinds have."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    usage: UsageShape
    timings: TimingsShape


class ChatCompletion(AnswerShape):
    """A dialog's next turn."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    service_tier: Literal["default"]


class TextLogprobs(Shape):
    """Four lists, one entry a token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class TextChoice(Shape):
    """One continuation."""

    text: str
    index: int
    logprobs: TextLogprobs | None
    finish_reason: FinishReason


class TextCompletion(AnswerShape):
    """What follows a text."""

    object: Literal["text_completion"]
    choices: list[TextChoice]


class EmbeddingShape(Shape):
    """One text's vector: numbers, or float32 in little-endian order as base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Shape):
    """What embeddings took."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsShape(Shape):
    """A vector for each text, in their order."""

    object: Literal["list"]
    data: list[EmbeddingShape]
    model: str
    usage: EmbeddingsUsage


class ModelMeta(Shape):
    """What is known of a model's file."""

    n_params: int
    size: int
    quantisation: str


class ModelShape(Shape):
    """One model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int
    meta: ModelMeta


class ModelList(Shape):
    """The models of the caller's plan."""

    object: Literal["list"]
    data: list[ModelShape]


class Piece(Shape):
    """A token and its text."""

    id: int
    piece: str


class TokenList(Shape):
    """A text's tokens: ids, or pieces where these were asked for."""

    tokens: list[int] | list[Piece]
    count: int
    max_model_len: int


class Text(Shape):
    """The text of tokens, under both servers' names."""

    content: str
    prompt: str


class TokenizerInfo(Shape):
    """What an evaluation harness asks of a tokenizer."""

    tokenizer_class: str
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    add_bos_token: bool
    model_max_length: int


STREAM = {  # its schema is that of each event; `data` is JSON, or [DONE]
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
            "required": ["data"],
            "additionalProperties": False,
        }
    }
}


def answers(
    model: type[Shape], stream: Mapping[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Describe a route's success: an object, or with `stream` events as well."""
    return {
        200: {"model": model, "content": dict(stream or {}), "description": model.__doc__ or ""}
    }
