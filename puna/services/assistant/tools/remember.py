"""The model's wish to remember something: shown to the person, who says yes or no.

In: a fact.  Out: a proposal.  Nothing of it enters a prompt before it is confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from puna.chat import Tool as Definition
from puna.errors import InvalidParameterError, ToolError
from puna.services.assistant.memory import Memory
from puna.services.assistant.tools.tool import Asking, text_argument

NAME = "remember"


class Remember:
    """Proposes a fact for the person's memory."""

    label = "Remember"
    definition = Definition(
        NAME,
        "Propose one short fact about the person to remember in later conversations, only when "
        "they ask for it or it clearly matters beyond this one.",
        {
            "type": "object",
            "properties": {"fact": {"type": "string", "description": "one sentence"}},
            "required": ["fact"],
        },
    )

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def call(self, asking: Asking, arguments: Mapping[str, Any]) -> str:
        """Return that the person is asked."""
        text = text_argument(arguments, "fact", longest=500)
        if not await asyncio.to_thread(self._memory.is_enabled, asking.owner):
            raise ToolError("the person has switched memory off")
        try:
            fact = await asyncio.to_thread(self._memory.propose, asking.owner, text)
        except InvalidParameterError as error:
            raise ToolError(str(error)) from None
        if fact.state == "kept":
            return "This is remembered already."
        return f"The person is asked whether to remember: {fact.text}"
