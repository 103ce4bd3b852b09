"""What the model reads in one turn: all that was said, then the question with what its files tell.

In: an owner, a question, what was said before it, an answer that grows.  Out: messages that fit
the context, round after round of the answer.  Keeps nothing in the database and streams nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from puna.chat import Message, Tool
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.beginning import prompt_tokens, system
from puna.services.assistant.entry import Entry
from puna.services.assistant.evidence import evidence, fitting
from puna.services.assistant.model import TurnModel
from puna.services.assistant.owner import Owner
from puna.services.assistant.presets import Preset
from puna.services.assistant.prompt import (
    PASSAGES_SHARE,
    Fitted,
    counted_with,
    fit,
    question_text,
    spoken,
    tail,
)
from puna.services.assistant.turn import GrowingAnswer


@dataclass
class TurnPrompt:
    """The prompt of a turn; its beginning and its question stay the same in all rounds."""

    assistant: Assistant
    owner: Owner
    model: TurnModel
    preset: Preset
    question: Entry
    before: tuple[Entry, ...]
    growing: GrowingAnswer
    _system: str = field(default="", init=False)
    _asked: str = field(default="", init=False)  # the question with its passages

    @property
    def begun(self) -> str:
        """Of an answer that goes on, what the model reads: its end, where it is a long one."""
        return tail(self.growing.begun, self.model.count_text, self._room // 2)

    def fitted(self, tools: Sequence[Tool], about_found: str = "") -> Fitted:
        """Return the messages of the present round, the oldest left out where they must be.

        With `about_found`, that is asked about the passages which are found already.
        """
        if not self._asked:
            self._prepare(about_found)
        last = [Message("user", self._asked), *self.growing.round_messages()]
        count = counted_with(self.model.count_prompt, tools)
        room = self._room - self.model.count_text(self.begun)
        return fit(self._system, spoken(self.before), last, count=count, budget=room)

    @property
    def _room(self) -> int:
        """Tokens that the prompt may have."""
        return prompt_tokens(self.model, self.preset)

    def _prepare(self, about_found: str) -> None:
        """Put together what stays the same in all rounds of the turn."""
        self._system = system(self.assistant, self.owner, self.preset, self.model)
        self._asked = self._about_found(about_found) if about_found else self._with_passages()

    def _about_found(self, asked: str) -> str:
        """A question about passages that are found already."""
        room = int(self._room * PASSAGES_SHARE)
        found = fitting(self.growing.sources, self.model.count_text, room)
        return f"{found}\n\n{asked}"

    def _with_passages(self) -> str:
        """The question with what its files tell."""
        files = self.assistant.files
        names = [files.get(self.owner, file_id).name for file_id in self.question.file_ids]
        plain = question_text(self.question, names, "")
        needed = self.model.count_prompt([Message("system", self._system), Message("user", plain)])
        passages = self._passages(int((self._room - needed) * PASSAGES_SHARE))
        return question_text(self.question, names, passages)

    def _passages(self, budget: int) -> str:
        """Return the passages of the conversation's files that fit into `budget` tokens."""
        every = [*self.before, self.question]
        return evidence(
            self.assistant.files,
            self.owner,
            self.question.text,
            list(dict.fromkeys(f for entry in every for f in entry.file_ids)),
            count=self.model.count_text,
            budget=budget,
            sources=self.growing.sources,
        )
