"""A talk with a model that this program loads: nothing of it is kept.

In: settings and wishes.  Out: a Talker.  Asks no server.
"""

from __future__ import annotations

from collections.abc import Collection

from puna.chat import Reply
from puna.cli.answer import leave, note_unfinished, show
from puna.cli.conversation import Conversation
from puna.cli.load import open_llm
from puna.cli.progress import PromptBar
from puna.cli.slash import COMMANDS, Slash
from puna.cli.talker import Wishes
from puna.config import Settings


class Alone:
    """Model, conversation and commands in one process."""

    commands: Collection[str] = COMMANDS

    def __init__(self, settings: Settings, wishes: Wishes, why: str) -> None:
        llm = open_llm(settings, wishes.model)
        self.name = f"This is {wishes.model or settings.model}, loaded here: {why}."
        self._conversation = Conversation(llm, wishes.system, wishes.params)
        self._slash = Slash(self._conversation, lambda name: open_llm(settings, name))

    def begin(self) -> None:
        """There is nothing to go on from."""

    def answer(self, question: str) -> None:
        """Answer, and say why where the answer is cut."""
        note_unfinished(self._reply(question))

    def answer_once(self, question: str) -> None:
        """Answer, and leave as the answer ended."""
        leave(self._reply(question))

    def obey(self, line: str) -> bool:
        """Do what a command says."""
        return self._slash.obey(line)

    def close(self) -> None:
        """Let go of the model's memory."""
        self._conversation.model.close()

    def _reply(self, question: str) -> Reply:
        with PromptBar() as progress:
            return show(self._conversation.answer(question, progress=progress))
