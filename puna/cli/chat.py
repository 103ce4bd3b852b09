"""`puna chat`: a talk with a model in the terminal.

In: lines from a person, or the whole of a piped stdin as one question.  Out: answers,
streamed to stdout.  Ctrl-C stops an answer; Ctrl-D or /exit leaves.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from puna.chat import Reply
from puna.cli import options
from puna.cli.answer import leave, note_unfinished, show
from puna.cli.conversation import Conversation
from puna.cli.load import open_llm
from puna.cli.progress import PromptBar
from puna.cli.stdin import read_stdin
from puna.config import Settings
from puna.errors import PunaError

HINT = "Ask away; /help lists commands, Ctrl-D leaves."


def chat(
    context: typer.Context,
    *,
    system: options.System = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    seed: options.Seed = None,
    model: options.Model = None,
) -> None:
    """Talk with a model.

    Ctrl-C stops an answer, Ctrl-D leaves, /help lists what else there is.
    A question piped into stdin gets one answer.
    """
    settings: Settings = context.obj
    piped = None if sys.stdin.isatty() else read_stdin()
    params: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    conversation = Conversation(open_llm(settings, model), system or "", {**params, "seed": seed})
    try:
        if piped is None:
            print(f"This is {model or settings.model}. {HINT}", file=sys.stderr)
            converse(conversation, settings)
        else:
            leave(_answer(conversation, piped))
    finally:
        conversation.model.close()


def converse(conversation: Conversation, settings: Settings) -> None:
    """Answer line after line until the person leaves."""
    from puna.cli.slash import COMMANDS, Slash, is_command
    from puna.cli.terminal import Terminal

    terminal = Terminal(settings.home / "history", COMMANDS)
    slash = Slash(conversation, lambda name: open_llm(settings, name))
    while (line := terminal.read()) is not None:
        try:
            if is_command(line):
                if not slash.obey(line):
                    break
            elif line:
                note_unfinished(_answer(conversation, line))
                print(file=sys.stderr)
        except (PunaError, OSError) as error:
            print(f"puna: error: {error}", file=sys.stderr)
        except MemoryError:
            print("puna: error: memory is full; the model stays as it was", file=sys.stderr)
        except KeyboardInterrupt:  # an answer's own Ctrl-C ends in _answer
            print("stopped", file=sys.stderr)


def _answer(conversation: Conversation, question: str) -> Reply:
    with PromptBar() as progress:
        return show(conversation.answer(question, progress=progress))
