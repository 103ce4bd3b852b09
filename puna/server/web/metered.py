"""A model as a turn asks it, with each stream admitted, charged and settled at the server's desk.

A caller and a loaded model in, the assistant's protocol out.  Knows no page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from puna.accounts import Caller
from puna.chat import Delta, Message, Tool
from puna.errors import LimitError
from puna.llm import LLM
from puna.server.desk import Desk, Preparing
from puna.server.job import Job
from puna.server.web.catalogue import Paces
from puna.server.web.left import SPENT, spent
from puna.services.assistant.model import Local


class Metered(Local):
    """A model of this machine, on somebody's plan."""

    def __init__(self, llm: LLM, name: str, desk: Desk, caller: Caller, paces: Paces) -> None:
        super().__init__(llm, name)
        self._desk, self._caller, self._paces = desk, caller, paces

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool],
        salt: str,
        begun: str = "",
        **params: Any,
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer; raises what the desk refuses, and settles however it ends."""
        options = {"tools": tools, "cache_salt": salt, "begun": begun, **params}
        async with await self._begin(
            lambda llm: [llm.language.prepare(messages, **options)]
        ) as job:
            async for _, batch in job.batches():
                for delta in batch:
                    self._note(delta)
                    yield delta
            self.spent = job.plan_ended

    async def _begin(self, preparing: Preparing) -> Job:
        try:
            return await self._desk.begin(self._caller, self.name, preparing)
        except LimitError as error:
            self.spent = isinstance(error, SPENT)
            raise spent(error) from error

    def _note(self, delta: Delta) -> None:
        """Remember how fast this model is here, as the picker shows it."""
        if delta.timings is None or delta.usage is None or delta.timings.decode_s <= 0:
            return
        made = delta.usage.completion_tokens - 1
        if made > 0:
            self._paces.note(self.name, made / delta.timings.decode_s)
