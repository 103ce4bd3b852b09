"""A model that says what a script says, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from puna.chat import Delta, Message, Tool, ToolCall, Usage

Script = Callable[[Sequence[Message]], Sequence[Delta | Exception]]


class Scripted:
    """Answers round after round; a word is a token."""

    name = "scripted"
    uses_tools = True
    spent = False

    def __init__(
        self, *rounds: Sequence[Delta | Exception], context_tokens: int = 4_000, pause_s: float = 0
    ) -> None:
        self._rounds = list(rounds)
        self._pause_s = pause_s
        self.context_tokens = context_tokens
        self.asked: list[tuple[Message, ...]] = []
        self.tools: list[tuple[str, ...]] = []
        self.params: list[dict[str, Any]] = []
        self.closed = 0

    def count_text(self, text: str) -> int:
        return len(text.split())

    def count_prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        return sum(3 + len(message.content.split()) for message in messages)

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool], salt: str, **params: Any
    ) -> AsyncGenerator[Delta, None]:
        self.asked.append(tuple(messages))
        self.tools.append(tuple(tool.name for tool in tools))
        self.params.append({"salt": salt, **params})
        try:
            for delta in self._rounds.pop(0):
                await asyncio.sleep(self._pause_s)
                if isinstance(delta, Exception):
                    raise delta
                yield delta
        finally:
            self.closed += 1


def says(*pieces: str) -> list[Delta | Exception]:
    """A round of words."""
    usage = Usage(10, len(pieces), 4)
    return [*(Delta(piece) for piece in pieces), Delta(finish_reason="stop", usage=usage)]


def calls(name: str, arguments: str, *before: str) -> list[Delta | Exception]:
    """A round that ends with a call."""
    call = ToolCall(f"call_{name}", name, arguments)
    return [
        *(Delta(piece) for piece in before),
        Delta(finish_reason="tool_calls", tool_calls=(call,)),
    ]
