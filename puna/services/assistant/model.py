"""What a turn needs of a model: an answer as an event loop takes it, and how long texts are.

In: a model.  Out: the protocol TurnModel, and Local, which makes one of a model on this machine.
Does not know conversations.  Whoever meters wraps a TurnModel: each `stream` is one request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol

from puna.chat import Delta, Message, Tool
from puna.llm.asynchronous import deltas, worked
from puna.llm.llm import LLM


class TurnModel(Protocol):
    """A model that answers."""

    @property
    def name(self) -> str:
        """The name under which the person chose it."""
        ...

    @property
    def context_tokens(self) -> int:
        """Prompt and answer together."""
        ...

    @property
    def uses_tools(self) -> bool:
        """Whether it was trained to call tools; others only get confused by them."""
        ...

    @property
    def spent(self) -> bool:
        """Whether it said no more because there is no more of what it is paid from."""
        ...

    def count_text(self, text: str) -> int:
        """Return the tokens of plain text."""
        ...

    def count_prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return the tokens of a dialog as a prompt."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool],
        salt: str,
        begun: str = "",
        **params: Any,
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer, or what follows `begun`; closing it stops the work.

        Prompts share a cache under one `salt`.
        """
        ...


class Local:
    """A model of this process."""

    spent = False

    def __init__(self, llm: LLM, name: str, *, uses_tools: bool | None = None) -> None:
        self._llm, self.name = llm, name
        self.context_tokens = llm.context_tokens
        self.uses_tools = llm.template.name == "llama31" if uses_tools is None else uses_tools

    def count_text(self, text: str) -> int:
        """Return the tokens of plain text."""
        return len(self._llm.tokenize(text))

    def count_prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return the tokens of a dialog as a prompt."""
        return self._llm.count_prompt(messages, tools)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool],
        salt: str,
        begun: str = "",
        **params: Any,
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer as the engine makes it."""
        options = {"tools": tools, "cache_salt": salt, "begun": begun, **params}
        preparing = partial(self._llm.language.prepare, messages, **options)
        answering = deltas(self._llm, await worked(preparing))
        async with aclosing(answering) as answer:  # type: ignore[type-var]
            async for delta in answer:
                yield delta
