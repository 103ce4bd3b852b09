"""What has been said in one chat, and the model that it is said to.

In: a person's turns.  Out: the model's turns, streamed.  Knows no terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from puna.chat import REPETITION_LIMIT, ChatModel, Delta, Message


class OpenModel(ChatModel, Protocol):
    """A model that holds memory until it is closed."""

    def close(self) -> None:
        """Let go of the memory."""
        ...


@dataclass
class Conversation:
    """Turns so far, oldest first, behind an optional system message."""

    model: OpenModel
    system: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    turns: list[Message] = field(default_factory=list)

    def answer(self, text: str, **params: Any) -> Iterator[Delta]:
        """Stream the answer to `text`; what there is of it becomes a turn, even if stopped."""
        question = Message("user", text)
        said: list[str] = []
        try:
            messages = [*self.messages(), question]
            options = {**self.params, **params, "repetition_limit": REPETITION_LIMIT}
            for delta in self.model.stream(messages, **options):
                said.append(delta.text)
                yield delta
        finally:
            if any(said):
                self.turns += [question, Message("assistant", "".join(said))]

    def messages(self) -> list[Message]:
        """Return the whole talk as the model reads it."""
        head = [Message("system", self.system)] if self.system else []
        return [*head, *self.turns]

    def clear(self) -> None:
        """Forget the turns; the system message stays."""
        self.turns.clear()

    def move_to(self, model: OpenModel) -> None:
        """Go on with another model, which reads what was said so far."""
        self.model.close()
        self.model = model

    def as_json(self) -> str:
        """Return the talk in the shape of OpenAI's `messages`."""
        messages = [{"role": m.role, "content": m.content} for m in self.messages()]
        return json.dumps(messages, ensure_ascii=False, indent=2) + "\n"
