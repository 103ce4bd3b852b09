"""What a person's next prompt begins with, whatever they will ask.

In: an owner, where in a conversation they are, a preset, a model.  Out: the same messages that a
turn begins with, or a model that has read them, so that the answer to what is written next begins
sooner.  Keeps nothing and charges nobody.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from puna.chat import Message
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.entry import Entry
from puna.services.assistant.model import TurnModel
from puna.services.assistant.owner import Owner
from puna.services.assistant.presets import Preset
from puna.services.assistant.prompt import (
    MEMORY_SHARE,
    answer_tokens,
    counted_with,
    date_text,
    fit,
    spoken,
    system_text,
)
from puna.services.assistant.question import Question


def system(assistant: Assistant, owner: Owner, preset: Preset, model: TurnModel) -> str:
    """Return who the assistant is, what day it is, what it remembers."""
    budget = int(model.context_tokens * MEMORY_SHARE)
    memory = assistant.memory.prompt_text(owner, model.count_text, budget)
    return system_text(preset.instructions, date_text(assistant.clock()), memory)


def prompt_tokens(model: TurnModel, preset: Preset) -> int:
    """Return how many tokens a prompt may have beside the answer."""
    wanted = preset.parameters.get("max_tokens")
    return model.context_tokens - answer_tokens(model.context_tokens, wanted)


async def read_ahead(
    assistant: Assistant, owner: Owner, question: Question, model: TurnModel
) -> None:
    """Have the model read all that stands before a question whose text is not there yet."""
    preset = await asyncio.to_thread(assistant.presets.get, owner, question.preset_id)
    tools = await assistant.toolbox.chosen(preset.tools if model.uses_tools else ())

    def before() -> tuple[Message, ...]:
        return fit(
            system(assistant, owner, preset, model),
            spoken(_said(assistant, owner, question)),
            [Message("user", "")],
            count=counted_with(model.count_prompt, tools.definitions),
            budget=prompt_tokens(model, preset),
        ).messages

    messages = await asyncio.to_thread(before)
    options = {**preset.parameters, "max_tokens": 1}  # the least that may be asked for
    reading = model.stream(messages, tools=tools.definitions, salt=owner.user_id, **options)
    async with aclosing(reading) as nothing:
        async for _ in nothing:
            pass


def _said(assistant: Assistant, owner: Owner, question: Question) -> tuple[Entry, ...]:
    where, parent = question.conversation_id, question.parent_id
    if where is None or parent is None:
        return ()
    return assistant.messages.path(owner, where, leaf_id=parent).entries
