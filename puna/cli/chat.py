"""`puna chat`: a talk in the terminal, through the server that runs, or with a model of its own.

In: lines from a person, or the whole of a piped stdin as one question.  Out: answers,
streamed to stdout.  Ctrl-C stops an answer; Ctrl-D or /exit leaves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from puna.cli import options
from puna.cli.failure import tell
from puna.cli.slash import is_command
from puna.cli.stdin import read_stdin
from puna.cli.talker import Talker, Wishes
from puna.config import Settings
from puna.errors import AccountError, PunaError, RemoteError, SettingError

HINT = "Ask away; /help lists commands, Ctrl-D leaves."

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Talk through this server, with the key in PUNA_API_KEY.",
        show_default="the one of this machine, or PUNA_SERVER",
    ),
]
Local = Annotated[
    bool, typer.Option("--local", help="Load a model here, even where a server runs.")
]
Continue = Annotated[
    bool, typer.Option("--continue", "-c", help="Go on with the server's last conversation.")
]


def chat(
    context: typer.Context,
    *,
    system: options.System = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    seed: options.Seed = None,
    model: options.Model = None,
    server: Server = None,
    local: Local = False,
    continue_: Continue = False,
) -> None:
    """Talk with a model.

    Where `puna serve` runs, the talk goes through it: conversations, presets, tools, files and
    memory are those of the page. Otherwise a model is loaded here, and nothing is kept.
    Ctrl-C stops an answer, Ctrl-D leaves, /help lists what else there is.
    A question piped into stdin gets one answer.
    """
    settings: Settings = context.obj
    piped = None if sys.stdin.isatty() else read_stdin()
    params = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed}
    wishes = Wishes(model, system or "", params, continue_)
    talker = _alone(settings, wishes, "--local") if local else _talker(settings, wishes, server)
    try:
        if piped is None:
            print(talker.name, HINT, sep="\n", file=sys.stderr)
            talker.begin()
            _converse(talker, settings)
        else:
            talker.answer_once(piped)
    finally:
        talker.close()


def _talker(settings: Settings, wishes: Wishes, server: str | None) -> Talker:
    """The server that was named or runs here; else a model of our own."""
    from puna.cli.remote.access import find_access
    from puna.cli.remote.through import Through

    if wishes.model and Path(wishes.model).expanduser().exists():
        return _alone(settings, wishes, "--model is a file")
    access = find_access(settings, server)
    if access is None:
        return _alone(settings, wishes, "no server runs")
    try:
        return Through(access, wishes)
    except (RemoteError, AccountError) as error:
        if server or settings.server or wishes.goes_on:
            raise
        return _alone(settings, wishes, str(error))


def _alone(settings: Settings, wishes: Wishes, why: str) -> Talker:
    from puna.cli.alone import Alone

    if wishes.goes_on:
        raise SettingError(f"--continue needs a server, which keeps conversations; {why}")
    return Alone(settings, wishes, why)


def _converse(talker: Talker, settings: Settings) -> None:
    """Answer line after line until the person leaves."""
    from puna.cli.terminal import Terminal

    terminal = Terminal(settings.home / "history", talker.commands)
    while (line := terminal.read()) is not None:
        try:
            if is_command(line):
                if not talker.obey(line):
                    break
            elif line:
                talker.answer(line)
                print(file=sys.stderr)
        except (PunaError, OSError, MemoryError) as error:
            tell(error)
        except KeyboardInterrupt:  # an answer's own Ctrl-C ends with the answer
            print("stopped", file=sys.stderr)
