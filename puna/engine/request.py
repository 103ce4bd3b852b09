"""What is asked of the engine: prompt ids and how to choose the tokens that follow.

In: numbers from a caller, trusted in nothing.  Out: frozen, validated values.
Knows no text: stop strings pass through to whoever reads the tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from puna.engine.pooling import Pooling
from puna.errors import InvalidParameterError

MAX_CHOICES = 128  # as OpenAI has it; a step computes as many as it would of others
MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 16
MAX_STOP_CHARACTERS = 256
MAX_STOP_TOKENS = 64
MAX_LOGIT_BIASES = 300
MAX_TOKENS = 2**31 - 1
LEAST_REPETITION = 8
BAN = -100.0  # a bias of -100 is a ban, as in OpenAI's API


class TokenMask(Protocol):
    """Which tokens a grammar allows next, for one choice of one request."""

    def bits(self) -> NDArray[np.uint32]:
        """Return (ceil(vocab / 32),) words; bit i of word w allows token 32 w + i."""
        ...

    def accept(self, token_id: int) -> None:
        """Move past a token that `bits` allowed."""
        ...

    def finished(self) -> bool:
        """Tell whether nothing but the end may follow."""
        ...

    def fork(self) -> Self:
        """Return an independent mask in the same state."""
        ...


class StopCheck(Protocol):
    """Watches one choice's tokens for an end that only their text can show."""

    def push(self, token_id: int) -> bool:
        """Tell whether the choice ends with this token."""
        ...

    def fresh(self) -> Self:
        """Return an independent check that has seen nothing."""
        ...


class Allowance(Protocol):
    """How much each choice may say, where that may grow while the answer does."""

    def left(self, said: int) -> int:
        """Return how many more tokens a choice may have that has so many."""
        ...

    def waits(self) -> bool:
        """Whether a choice that has used up all should pause: more may yet be granted."""
        ...


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is chosen from the logits, in this order.

    Repetition penalty (HF's, over prompt and answer), presence and frequency
    penalties (OpenAI's, over the answer), logit bias, grammar mask,
    temperature, top-k, top-p over what is left, min-p.  Temperature 0 is
    greedy.  Where the last `repetition_limit` tokens are one passage said over
    and over, the answer ends.  Log-probabilities are those of the model itself:
    log-softmax of the logits before any of this.

    Raises InvalidParameterError that names the field, its value and its range.
    """

    temperature: float = 1.0
    top_k: int = 0  # 0 = all
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None  # None = another one each time
    max_tokens: int | None = None  # None = what the context holds
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None  # alternatives beside the chosen token; None = no logprobs
    prompt_logprobs: int | None = None
    n: int = 1
    repetition_limit: int | None = None  # None = it may repeat itself for ever

    def __post_init__(self) -> None:
        _check_real("temperature", self.temperature, 0.0, 10.0)
        _check_int("top_k", self.top_k, 0, MAX_TOKENS)
        _check_real("top_p", self.top_p, 0.0, 1.0, above_low=True)
        _check_real("min_p", self.min_p, 0.0, 1.0)
        _check_real("repetition_penalty", self.repetition_penalty, 0.0, 10.0, above_low=True)
        _check_real("presence_penalty", self.presence_penalty, -2.0, 2.0)
        _check_real("frequency_penalty", self.frequency_penalty, -2.0, 2.0)
        _check_optional_int("seed", self.seed, -(2**63), 2**63 - 1)
        _check_optional_int("max_tokens", self.max_tokens, 0, MAX_TOKENS)
        _check_optional_int("logprobs", self.logprobs, 0, MAX_LOGPROBS)
        _check_optional_int("prompt_logprobs", self.prompt_logprobs, 0, MAX_LOGPROBS)
        _check_int("n", self.n, 1, MAX_CHOICES)
        _check_optional_int("repetition_limit", self.repetition_limit, LEAST_REPETITION, MAX_TOKENS)
        _check_flag("ignore_eos", self.ignore_eos)
        object.__setattr__(self, "logit_bias", _checked_bias(self.logit_bias))
        object.__setattr__(self, "stop", _checked_stop(self.stop))
        object.__setattr__(self, "stop_token_ids", _checked_stop_tokens(self.stop_token_ids))
        self._check_empty_answer()

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse token ids that the model does not have, and a ban of all that it has."""
        for name, ids in (("logit_bias", self.logit_bias), ("stop_token_ids", self.stop_token_ids)):
            for token_id in ids:
                check_token_id(name, token_id, vocab_size)
        if sum(bias <= BAN for bias in self.logit_bias.values()) >= vocab_size:
            raise InvalidParameterError("logit_bias bans every token; leave at least one")

    def _check_empty_answer(self) -> None:
        if self.max_tokens == 0 and self.prompt_logprobs is None:
            raise InvalidParameterError(
                "max_tokens is 0, which asks for nothing; use at least 1, or set prompt_logprobs"
            )


@dataclass(frozen=True)
class Request:
    """One prompt and how to go on from it.

    `stop_ids` end an answer unless `ignore_eos`; the token itself is no part
    of the answer.  Prefix blocks are shared only between equal `cache_salt`s.
    Tenants take turns by what they were served; a higher `priority` goes first.
    """

    prompt_ids: tuple[int, ...]
    params: SamplingParams = field(default_factory=SamplingParams)
    stop_ids: frozenset[int] = frozenset()
    mask: TokenMask | None = None
    stop_check: StopCheck | None = None
    cache_salt: str = ""
    tenant: str = ""
    priority: int = 0
    pooling: Pooling | None = None  # an embedding of the prompt is wanted, and no answer
    allowance: Allowance | None = None

    @property
    def wanted_tokens(self) -> int:
        """Answer tokens for which there must be room beside the prompt."""
        if self.pooling is not None:
            return 0
        return 1 if self.params.max_tokens is None else self.params.max_tokens

    @property
    def ending_ids(self) -> frozenset[int]:
        """Every token id that ends a choice."""
        own = frozenset(self.params.stop_token_ids)
        return own if self.params.ignore_eos else own | self.stop_ids


def check_prompt(ids: tuple[int, ...], vocab_size: int) -> None:
    """Raise InvalidParameterError unless there are ids, all of them the model's."""
    if not ids:
        raise InvalidParameterError("the prompt has no tokens; give at least one")
    # The common case in two passes of C; the slow loop only looks for the culprit.
    if set(map(type, ids)) != {int} or min(ids) < 0 or max(ids) >= vocab_size:
        for token_id in ids:
            check_token_id("the prompt", token_id, vocab_size)


def check_token_id(name: str, token_id: object, vocab_size: int) -> None:
    """Raise InvalidParameterError unless `token_id` is one of the model's."""
    if not _is_int(token_id) or not 0 <= token_id < vocab_size:
        raise InvalidParameterError(
            f"{name} holds token id {_shown(token_id)}, but the model's ids go "
            f"from 0 to {vocab_size - 1}"
        )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: object) -> TypeGuard[float]:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _check_int(name: str, value: object, low: int, high: int) -> None:
    if not _is_int(value) or not low <= value <= high:
        raise InvalidParameterError(
            f"{name} is {_shown(value)}; it must be a whole number from {low} to {high}"
        )


def _check_optional_int(name: str, value: object, low: int, high: int) -> None:
    if value is not None:
        _check_int(name, value, low, high)


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidParameterError(f"{name} is {_shown(value)}; it must be True or False")


def _check_real(
    name: str, value: object, low: float, high: float, *, above_low: bool = False
) -> None:
    if not _is_real(value) or not low <= value <= high or (above_low and value == low):
        start = f"above {low:g} and at most" if above_low else f"from {low:g} to"
        raise InvalidParameterError(
            f"{name} is {_shown(value)}; it must be a number {start} {high:g}"
        )


def _checked_bias(bias: object) -> dict[int, float]:
    if not isinstance(bias, Mapping):
        raise InvalidParameterError("logit_bias must map token ids to numbers from -100 to 100")
    _check_count("logit_bias", len(bias), MAX_LOGIT_BIASES)
    for token_id, value in bias.items():
        _check_int("a token id in logit_bias", token_id, 0, MAX_TOKENS)
        _check_real(f"logit_bias[{token_id}]", value, BAN, -BAN)
    return {int(token_id): float(value) for token_id, value in bias.items()}


def _checked_stop(stop: object) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else stop
    if not isinstance(strings, tuple | list):
        raise InvalidParameterError("stop must be a string or several strings")
    _check_count("stop", len(strings), MAX_STOP_STRINGS)
    for string in strings:
        if not isinstance(string, str) or not 1 <= len(string) <= MAX_STOP_CHARACTERS:
            raise InvalidParameterError(
                f"a stop string is {_shown(string)}; it must have 1 to "
                f"{MAX_STOP_CHARACTERS} characters"
            )
    return tuple(strings)


def _checked_stop_tokens(ids: object) -> tuple[int, ...]:
    if not isinstance(ids, tuple | list):
        raise InvalidParameterError("stop_token_ids must be several token ids")
    _check_count("stop_token_ids", len(ids), MAX_STOP_TOKENS)
    for token_id in ids:
        _check_int("an id in stop_token_ids", token_id, 0, MAX_TOKENS)
    return tuple(ids)


def _check_count(name: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidParameterError(f"{name} has {count} entries; the most is {most}")
