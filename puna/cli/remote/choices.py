"""What a person chooses and sets in a chat through a server: preset, model, memory, files.

In: a talk and what was typed behind the command.  Out: a changed talk, and words on stderr.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TypeVar

from puna.cli.newfile import typed_path
from puna.cli.plain import line, plain
from puna.cli.remote.records import Fact, Model
from puna.cli.remote.talk import Talk
from puna.cli.remote.telling import PLAIN, meter, note
from puna.errors import InvalidParameterError

Kind = TypeVar("Kind")
MOST_MIB = 256  # of a file, however a server is set up


def attach(talk: Talk, typed: str) -> None:
    """Have a file read; the next question goes with it."""
    if not typed:
        return note("which file? /attach notes.pdf", PLAIN)
    path = typed_path(typed)
    file = talk.api.attach(path.name, _content(path))
    talk.files.append(file)
    return note(f"{line(file.name)} ({file.words}) goes with your next question")


def _content(path: Path) -> bytes:
    """Read a file, if any server could take it."""
    if path.stat().st_size > MOST_MIB * 2**20:
        raise InvalidParameterError(
            f"{path} has more than {MOST_MIB} MiB, which no server takes; send a part of it"
        )
    return path.read_bytes()


def preset(talk: Talk, name: str) -> None:
    """List the presets, or go on with one."""
    every = talk.api.presets()
    if not name:
        kept = talk.conversation.preset if talk.conversation else None
        now = talk.preset or kept or every[0].id
        marks = ["* " if one.id == now else "  " for one in every]
        table([(mark + one.name, one.instructions) for mark, one in zip(marks, every, strict=True)])
        return
    chosen = _only([(one.id, one.name, one) for one in every], name, "preset")
    talk.preset = chosen.id
    note(f"going on as {line(chosen.name)}")


def model(talk: Talk, name: str) -> None:
    """List the models, or go on with one."""
    every = talk.api.models()
    if not name:
        here = model_of(talk, every)
        marks = ["* " if one.name == here else "  " for one in every]
        table([(mark + one.name, _about(one)) for mark, one in zip(marks, every, strict=True)])
        return
    talk.model = _only([(one.name, one.name, one) for one in every], name, "model").name
    note(f"going on with {talk.model}")


def model_of(talk: Talk, every: Sequence[Model]) -> str:
    """The model that answers next."""
    kept = talk.conversation.model if talk.conversation else ""
    default = next((one.name for one in every if one.default), "")
    return talk.model or kept or default


def tools(talk: Talk) -> None:
    """List what a model may call."""
    table([(tool.label, tool.description) for tool in talk.api.tools()])


def memory(talk: Talk, typed: str) -> None:
    """Show the memory, or change it."""
    verb, _, rest = typed.partition(" ")
    match verb, rest.strip():
        case "add", text if text:
            note(f"remembered: {line(talk.api.remember(text).text)}")
        case (("keep" | "forget"), number):
            fact = numbered(
                talk.api.memory()[1], number, "which one? /memory lists them with numbers"
            )
            (talk.api.confirm if verb == "keep" else talk.api.forget)(fact.id)
            note(f"{'kept' if verb == 'keep' else 'forgotten'}: {line(fact.text)}")
        case (("on" | "off"), ""):
            talk.api.switch_memory(verb == "on")
            note(f"the memory is {verb}")
        case "", "":
            _show_memory(*talk.api.memory())
        case _:
            note("/memory, /memory add TEXT, keep N, forget N, on, off", PLAIN)


def system(talk: Talk, text: str) -> None:
    """Show or set the instructions of this chat."""
    talk.system = text or talk.system
    note(line(talk.system, 500) or "the preset's instructions; /preset shows them", PLAIN)


def plan(talk: Talk) -> None:
    """Show what is left of the plan."""
    note(meter(talk.api.left()), PLAIN)


def numbered(listed: Sequence[Kind], number: str, hint: str) -> Kind:
    """The one that stands under a number of a list; InvalidParameterError with the hint if none."""
    if not (number.isascii() and number.isdecimal() and 0 < int(number) <= len(listed)):
        raise InvalidParameterError(hint)
    return listed[int(number) - 1]


def table(rows: Sequence[tuple[str, str]]) -> None:
    """Show names and what is to be said of them, side by side."""
    names = [plain(name) for name, _ in rows]
    width = max(map(len, names), default=0) + 2
    room = max(30, get_terminal_size().columns - width - 1)
    for name, (_, about) in zip(names, rows, strict=True):
        note(f"{name:<{width}}{line(about, room)}".rstrip(), PLAIN)


def _about(one: Model) -> str:
    context = f"{one.context_tokens:,} tokens of context" if one.context_tokens else ""
    speed = f"{one.speed:.0f} tokens a second" if one.speed else ""
    return ", ".join(filter(None, [context, speed]))


def _show_memory(enabled: bool, facts: Sequence[Fact]) -> None:
    for number, fact in enumerate(facts, 1):
        wish = "" if fact.state == "kept" else f"  (a wish of the model's: /memory keep {number})"
        note(f"{number:>3}  {line(fact.text)}{wish}", PLAIN)
    note("" if facts else "nothing is remembered; /memory add TEXT", PLAIN)
    note("" if enabled else "the memory is off; /memory on", PLAIN)


def _only(every: Sequence[tuple[str, str, Kind]], typed: str, what: str) -> Kind:
    """The one that is meant, by its whole name or its beginning."""
    typed = typed.casefold()
    exact = [one for id_, name, one in every if typed in (id_.casefold(), name.casefold())]
    near = [one for _, name, one in every if name.casefold().startswith(typed)]
    found = exact or near
    if len(found) != 1:
        raise InvalidParameterError(f"there is no such {what}; /{what} lists them")
    return found[0]
