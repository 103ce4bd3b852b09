"""Reading a person's lines, with editing, history and completion.

In: keys.  Out: one question or command at a time.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle

PROMPT = FormattedText([("bold ansicyan", "> ")])


class Terminal:
    """A prompt that remembers what was typed in earlier chats."""

    def __init__(self, history: Path, commands: Iterable[str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            history=FileHistory(str(_private(history))),
            completer=WordCompleter([*commands], sentence=True),
            complete_style=CompleteStyle.READLINE_LIKE,  # at Tab, below the line
            complete_while_typing=False,
            reserve_space_for_menu=0,
            key_bindings=_new_line_keys(),
            output=create_output(always_prefer_tty=True),  # stdout may be a file
        )

    def read(self) -> str | None:
        """Return the next line; "" after Ctrl-C; None after Ctrl-D."""
        try:
            return self._session.prompt().strip()
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None


def _private(history: Path) -> Path:
    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    return history


def _new_line_keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
