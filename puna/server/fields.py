"""What the bodies of several routes share: strict values, and how to choose tokens.

In: JSON from a client.  Out: checked values under the engine's names.
Unknown fields are ignored, as OpenAI's clients expect; known ones are strict.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from puna.engine.request import MAX_CHOICES
from puna.server.foreign import KEYED, unused

MOST_TOKENS = 2**31 - 1
MOST_STOPS = 4
MOST_LEVELS = 64  # of a schema's nesting
LEAST_TOP_P = 1e-6  # 0 means the likeliest token alone


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what Python's parser takes, yet no other reader: NaN, halves of a character, depth."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError(
            "holds what JSON has no word for, such as NaN or half a surrogate"
        ) from None
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"is nested in more than {MOST_LEVELS} levels")
    return value


def _inside(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


PlainObject = Annotated[dict[str, Any], AfterValidator(_plain)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=300)]
StopText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
TokenId = Annotated[int, Field(ge=0, le=MOST_TOKENS)]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class StreamOptions(Body):
    """What a stream says beside the answer."""

    include_usage: bool | None = None
    include_obfuscation: Annotated[object, unused("nothing is obfuscated")] = None


def _of_a_stream(value: StreamOptions | None, info: ValidationInfo) -> StreamOptions | None:
    """Refuse them for an answer in one piece, which would not have what they ask for."""
    if value is not None and not info.data.get("stream"):
        raise ValueError("is only allowed where stream is true")
    return value


OfAStream = Annotated[StreamOptions | None, AfterValidator(_of_a_stream)]  # after `stream`


class Sampling(Body):
    """How tokens are chosen; what is absent or null is as the model itself has it."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=MOST_STOPS)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    logit_bias: (
        Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=300)] | None
    ) = None
    user: Annotated[str | None, KEYED] = None
    stream: bool | None = None
    stream_options: OfAStream = None
    # Puna's own, as llama.cpp and vLLM call them
    top_k: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = None
    ignore_eos: bool | None = None

    @field_validator("logit_bias")
    @classmethod
    def _check_bias(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for token in value or {}:
            if not (token.isascii() and token.isdecimal() and len(token) < 11):
                raise ValueError("its names are token ids, such as '198'")
        return value

    @property
    def includes_usage(self) -> bool:
        """Whether the stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> dict[str, Any]:
        """Return the parameters that were given, as SamplingParams calls them."""
        given = {
            "temperature": self.temperature,
            "top_p": None if self.top_p is None else max(self.top_p, LEAST_TOP_P),
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "seed": self.seed,
            "stop": self._stops(),
            "n": self.n,
            "logit_bias": {int(k): v for k, v in (self.logit_bias or {}).items()} or None,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "ignore_eos": self.ignore_eos,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _stops(self) -> tuple[str, ...] | None:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()) or None
