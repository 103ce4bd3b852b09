"""The words that Puna's parts share: messages in, deltas out.

Names follow OpenAI's chat API, so that a message read from a request is a
message here.  Knows no model and no transport.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

Role = Literal["system", "user", "assistant", "tool", "ipython"]
FinishReason = Literal["stop", "length", "repetition", "tool_calls", "cancelled", "error"]
REPETITION_LIMIT = 384
"""For those who talk with a person: tokens of one passage over and over, after which they end."""


@dataclass(frozen=True)
class ToolCall:
    """One call that the assistant asks for; `arguments` is JSON text, as OpenAI has it.

    Where the answer's length ended it, it is not `complete` and must not be carried out.
    """

    id: str
    name: str
    arguments: str
    complete: bool = True

    @classmethod
    def new(cls, name: str, arguments: str, *, complete: bool = True) -> Self:
        """Make a call with an id of its own."""
        return cls(f"call_{secrets.token_hex(12)}", name, arguments, complete)


@dataclass(frozen=True)
class CallPiece:
    """What a piece of an answer adds to one of its calls; only a call's first piece names it."""

    index: int  # of the call in its choice
    arguments: str = ""
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Tool:
    """A function that the assistant may call; `parameters` is a JSON schema.

    A `strict` one whose schema cannot be enforced whole is refused.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False


@dataclass(frozen=True)
class Message:
    """One turn of a dialog."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class TokenLogprob:
    """A token's natural-log probability, with the likeliest alternatives."""

    token_id: int
    token: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True)
class Usage:
    """What one request took, in tokens, counted by the engine."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        """Count both."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True)
class Timings:
    """Where one request's time went, in seconds."""

    queued_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True)
class Delta:
    """A piece of one choice of an answer, in the order in which it was made.

    `call_pieces` are calls as they are written; the choice's last delta has them whole.
    """

    text: str = ""
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    call_pieces: tuple[CallPiece, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    timings: Timings | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] = ()  # from the prompt's second token on
    embedding: bytes = b""  # of a text that was to become a vector: float32, little-endian


@dataclass(frozen=True)
class Answer:
    """One finished choice."""

    text: str
    finish_reason: FinishReason
    index: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Reply:
    """All choices of one request, with what they took."""

    choices: tuple[Answer, ...]
    usage: Usage
    timings: Timings
    prompt_logprobs: tuple[TokenLogprob, ...] = ()  # from the prompt's second token on

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.choices[0].text


class ChatModel(Protocol):
    """What a model offers to whoever talks to it, here or on other machines."""

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] = (), **params: Any
    ) -> Iterator[Delta]:
        """Yield the answer as it is made."""
        ...
