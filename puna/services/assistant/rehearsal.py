"""A question that nobody asked, so that the first person's answer comes as fast as the second's.

In: an assistant and a model.  Out: nothing; the engine has read the beginning that every prompt
has, and touched the memory that it works in.  Keeps nothing and charges nobody.
"""

from __future__ import annotations

from contextlib import aclosing

from puna.chat import Message
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.model import TurnModel
from puna.services.assistant.presets import BUILT_IN
from puna.services.assistant.prompt import date_text, system_text

QUESTION = "What can you do for me today?"
TOKENS = 8


async def rehearse(assistant: Assistant, model: TurnModel) -> None:
    """Have the model say a few words to a new person; raises any PunaError."""
    preset = BUILT_IN[0]
    system = system_text(preset.instructions, date_text(assistant.clock()), "")
    messages = [Message("system", system), Message("user", QUESTION)]
    parameters = {**preset.parameters, "max_tokens": TOKENS}
    async with aclosing(model.stream(messages, tools=(), salt="", **parameters)) as answer:
        async for _ in answer:
            pass
