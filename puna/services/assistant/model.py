"""What a turn needs of a model: an answer as an event loop takes it, and how long texts are.

In: a model.  Out: the protocol TurnModel, and Local, which makes one of a model on this machine.
Does not know conversations.  Whoever meters wraps a TurnModel: each `stream` is one request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

from puna.chat import Delta, Message, Tool
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

    def count_text(self, text: str) -> int:
        """Return the tokens of plain text."""
        ...

    def count_prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return the tokens of a dialog as a prompt."""
        ...

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[Tool], salt: str, **params: Any
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer; closing it stops the work.  Prompts share a cache under one `salt`."""
        ...


class Local:
    """A model of this process."""

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
        self, messages: Sequence[Message], *, tools: Sequence[Tool], salt: str, **params: Any
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer, which a thread takes from the engine."""
        pump = _Pump(asyncio.get_running_loop())
        thread = threading.Thread(
            target=pump.run, args=(self._llm, messages, tools, salt, params), daemon=True
        )
        thread.start()
        try:
            while (item := await pump.queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            pump.stopped.set()


class _Pump:
    """Moves deltas from a thread to an event loop until either has enough."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.queue: asyncio.Queue[Delta | Exception | None] = asyncio.Queue()
        self.stopped = threading.Event()

    def run(
        self,
        llm: LLM,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        salt: str,
        params: dict[str, Any],
    ) -> None:
        try:
            deltas = llm.stream(messages, tools=tools, cache_salt=salt, **params)
            for delta in deltas:
                if self.stopped.is_set():
                    break
                self._put(delta)
            del deltas  # forgotten means cancelled
        except Exception as error:  # raised again where the deltas are awaited
            self._put(error)
        self._put(None)

    def _put(self, item: Delta | Exception | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.queue.put_nowait, item)
