"""The body of a completion request, as OpenAI's legacy API has it.

In: JSON.  Out: prompts, as text or token ids, and parameters.  Knows no model.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import Field, model_validator

from puna.llm import LLM
from puna.llm.prepared import Prepared
from puna.server.fields import MOST_TOKENS, ModelName, Sampling, TokenId
from puna.server.foreign import Refused

MOST_PROMPTS = 256
MOST_CHOICES = 2048  # of all prompts together
MOST_RANKED = 20  # as OpenAI has it
TOKENS_UNLESS_SAID = 16  # OpenAI's own

Prompt = str | list[int]
Ids = Annotated[list[TokenId], Field(min_length=1)]


class CompletionRequest(Sampling):
    """The whole body."""

    model: ModelName
    prompt: (
        str
        | Ids
        | Annotated[list[str], Field(min_length=1, max_length=MOST_PROMPTS)]
        | Annotated[list[Ids], Field(min_length=1, max_length=MOST_PROMPTS)]
    )
    max_tokens: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    best_of: Annotated[int, Field(ge=1, le=MOST_RANKED)] | None = None
    suffix: Annotated[None, Refused("Llama continues a text, it does not fill gaps")] = None

    @model_validator(mode="after")
    def _check(self) -> CompletionRequest:
        if self.best_of is not None and self.best_of < (self.n or 1):
            raise ValueError("best_of is less than n")
        if self.stream and self.made > (self.n or 1):
            raise ValueError("best_of cannot be streamed")
        if len(self.prompts) * self.made > MOST_CHOICES:
            raise ValueError(
                f"n or best_of for so many prompts makes more than {MOST_CHOICES} choices"
            )
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens is 0, which asks for nothing without echo")
        return self

    @property
    def prompts(self) -> list[Prompt]:
        """Every prompt."""
        given = self.prompt
        if isinstance(given, str) or isinstance(given[0], int):
            return [given]
        return cast(list[Prompt], given)

    @property
    def made(self) -> int:
        """How many choices are made for each prompt."""
        return max(self.best_of or 1, self.n or 1)

    @property
    def shown(self) -> int:
        """How many of them are shown."""
        return self.n or 1

    def prepare(self, llm: LLM, cache_salt: str) -> list[Prepared]:
        """Do the work on text that comes before the engine."""
        params = self._params()
        return [
            llm.language.prepare_completion(prompt, cache_salt=cache_salt, **params)
            for prompt in self.prompts
        ]

    def _params(self) -> dict[str, Any]:
        ranked = self.made > self.shown
        limit = TOKENS_UNLESS_SAID if self.max_tokens is None else self.max_tokens
        # An empty answer still computes the prompt, whose logprobs it may be asked for.
        scored = self.logprobs if self.logprobs is not None or limit else 0
        return {
            **self.sampling(),
            "n": self.made,
            "max_tokens": limit,
            "logprobs": 0 if ranked and self.logprobs is None else self.logprobs,
            "prompt_logprobs": scored if self.echo else None,
        }
