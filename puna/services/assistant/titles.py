"""A title for a conversation, in a model's words.

In: the first question and its answer.  Out: a few words.  Knows no record.
"""

from __future__ import annotations

from contextlib import aclosing

from puna.chat import Message
from puna.errors import PunaError
from puna.services.assistant.model import TurnModel


async def title(model: TurnModel, question: str, answer: str, salt: str) -> str:
    """Return a few words, or nothing where the model says too much."""
    asked = (
        "Write a title of at most five words for this conversation. Give the title alone.\n\n"
        f"Question: {question[:500]}\n\nAnswer: {answer[:500]}"
    )
    deltas = model.stream(
        [Message("user", asked)], tools=(), salt=salt, max_tokens=24, temperature=0.0
    )
    try:
        async with aclosing(deltas) as stream:
            said = [delta.text async for delta in stream]
    except PunaError:
        return ""  # the old title does as well
    lines = "".join(said).strip().splitlines()
    words = lines[0].strip(' "*#.') if lines else ""
    return words if 0 < len(words) <= 60 else ""
