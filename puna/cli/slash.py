"""The commands of a chat: lines that begin with a slash.

In: such a line.  Out: a changed conversation, and words on stderr.  Does not
read the terminal.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from puna.cli.conversation import Conversation, OpenModel
from puna.cli.newfile import typed_path, write_beside

COMMANDS = {
    "/help": "list these commands",
    "/system": "show or set what the model is told beforehand: /system Answer in Spanish.",
    "/clear": "forget what was said",
    "/model": "go on with another model: /model llama.gguf",
    "/save": "write the talk to a file, as JSON: /save talk.json",
    "/exit": "leave, as Ctrl-D does",
}
KEYS = "Ctrl-C stops an answer; Alt-Enter begins a new line in a question"


def is_command(line: str) -> bool:
    """Tell a command from a question that begins with a path, such as /etc/hosts."""
    return re.fullmatch(r"/[a-z]*(\s.*)?", line, re.DOTALL) is not None


def nearest(command: str, known: Iterable[str]) -> str:
    """Say which command was meant, or where they are listed."""
    near = difflib.get_close_matches(command, list(known), n=1)
    return f"did you mean {near[0]}?" if near else "try /help"


@dataclass
class Slash:
    """Obeys commands on one conversation."""

    conversation: Conversation
    open_model: Callable[[str], OpenModel]

    def obey(self, line: str) -> bool:
        """Do what `line` says; False means that the person leaves."""
        command, _, argument = line.partition(" ")
        match command, argument.strip():
            case "/exit", _:
                return False
            case "/help", _:
                self._help()
            case "/system", text:
                self._system(text)
            case "/clear", _:
                self.conversation.clear()
                _say("forgotten")
            case "/model", name:
                self._model(name)
            case "/save", name:
                self._save(name)
            case _:
                self._unknown(command)
        return True

    def _help(self) -> None:
        for command, purpose in COMMANDS.items():
            _say(f"{command:<9}{purpose}")
        _say(KEYS)

    def _system(self, text: str) -> None:
        if text:
            self.conversation.system = text
        _say(self.conversation.system or "the model is told nothing beforehand")

    def _model(self, name: str) -> None:
        if not name:
            return _say("which one? puna models lists them: /model smollm2")
        self.conversation.move_to(self.open_model(name))
        return _say(f"going on with {name}")

    def _save(self, name: str) -> None:
        if not name:
            return _say("where? /save talk.json")
        path = write_beside(typed_path(name), self.conversation.as_json())
        return _say(f"saved {len(self.conversation.turns)} turns to {path}")

    def _unknown(self, command: str) -> None:
        _say(f"there is no {command}; {nearest(command, COMMANDS)}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
