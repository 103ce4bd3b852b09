"""The commands of a chat through a server: its conversations first, the rest in choices.py.

In: a line that begins with a slash.  Out: a changed talk, and words on stderr.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from puna.cli.newfile import typed_path, write_beside
from puna.cli.plain import line
from puna.cli.remote import choices
from puna.cli.remote.records import Conversation, Message
from puna.cli.remote.talk import Talk, Told
from puna.cli.remote.telling import PLAIN, note, show, stopping, tell
from puna.cli.slash import KEYS, nearest
from puna.errors import InvalidParameterError

COMMANDS = {
    "/help": "list these commands",
    "/new": "begin another conversation",
    "/conversations": "list the latest, or find words in all: /conversations herons",
    "/open": "go on with one of the list: /open 2",
    "/history": "show this conversation from its beginning",
    "/again": "have the last question answered again",
    "/continue": "let the last answer go on where it was cut or stopped",
    "/rename": "give this conversation a title: /rename Herons",
    "/delete": "delete this conversation for good",
    "/export": "write it to a file, to read or whole: /export talk.md, /export talk.json",
    "/attach": "send a file with the next question: /attach notes.pdf",
    "/preset": "list or choose who the assistant is: /preset teacher",
    "/model": "list or choose the model: /model smollm2",
    "/tools": "list what the model may call",
    "/memory": "see or change what is remembered: /memory add I am vegetarian.",
    "/system": "instructions in place of the preset's, in this chat: /system Be brief.",
    "/plan": "show what is left of the plan",
    "/exit": "leave, as Ctrl-D does",
}
SAID = {  # to the server, which calls the tool without asking a model
    "/calc": "calculate: /calc 12 * 7",
    "/date": "today, in days or elsewhere: /date +45, /date Asia/Tokyo",
    "/search": "what your files say: /search words",
}
SHOWN = 6  # messages, where a conversation is opened
WHOLE = 1000


@dataclass
class Slash:
    """Obeys commands on one talk."""

    talk: Talk
    listed: list[Conversation] = field(default_factory=list)

    def obey(self, typed: str) -> bool:
        """Do what a line says; False means that the person leaves."""
        command, _, argument = typed.partition(" ")
        if command == "/exit":
            return False
        deed = self._deeds().get(command)
        if deed is None:
            self._unknown(command)
        else:
            deed(argument.strip())
        return True

    def go_on(self, id_: str) -> None:
        """Open a conversation, show its end, and hear the answer that is being given in it."""
        messages, running = self.talk.open(id_)
        if running and messages and messages[-1].role == "assistant":
            messages = messages[:-1]  # the turn tells it from its beginning
        self._show_end(messages)
        if running:
            self.hear(self.talk.follow(running))

    def hear(self, asked: AbstractContextManager[Told]) -> Message | None:
        """Show an answer; Ctrl-C ends it."""
        with stopping(self.talk.stop), asked as events:
            return tell(events)

    def _deeds(self) -> dict[str, Callable[[str], None]]:
        talk = self.talk
        return {
            "/help": lambda _: self._help(),
            "/new": lambda _: self._new(),
            "/conversations": self._list,
            "/open": self._open,
            "/history": lambda _: self._history(),
            "/again": lambda _: self._again(),
            "/continue": lambda _: self._continue(),
            "/rename": self._rename,
            "/delete": self._delete,
            "/export": self._export,
            "/attach": lambda path: choices.attach(talk, path),
            "/preset": lambda name: choices.preset(talk, name),
            "/model": lambda name: choices.model(talk, name),
            "/tools": lambda _: choices.tools(talk),
            "/memory": lambda what: choices.memory(talk, what),
            "/system": lambda text: choices.system(talk, text),
            "/plan": lambda _: choices.plan(talk),
        }

    def _help(self) -> None:
        for command, purpose in {**COMMANDS, **SAID}.items():
            note(f"{command:<15}{purpose}", PLAIN)
        note(KEYS, PLAIN)

    def _new(self) -> None:
        self.talk.begin_anew()
        note("your next question begins a conversation")

    def _list(self, words: str) -> None:
        self.listed = self.talk.api.conversations(words)
        for number, one in enumerate(self.listed, 1):
            here = self.talk.conversation is not None and one.id == self.talk.conversation.id
            note(f"{number:>3}  {line(one.title, 60)}{'  (this one)' if here else ''}", PLAIN)
            note(f"     {line(one.excerpt)}" if one.excerpt else "")
        note("" if self.listed else "there are none", PLAIN)
        note("/open N goes on with one" if self.listed else "")

    def _open(self, number: str) -> None:
        self.go_on(self._numbered(number).id)

    def _numbered(self, number: str) -> Conversation:
        if not self.listed:
            self.listed = self.talk.api.conversations()
        hint = "which one? /conversations lists them: /open 2"
        return choices.numbered(self.listed, number, hint)

    def _history(self) -> None:
        _, messages, _ = self.talk.api.conversation(self._present().id, WHOLE)
        show(messages)

    def _again(self) -> None:
        self._present()
        self.hear(self.talk.ask(None))

    def _continue(self) -> None:
        self._present()
        self.hear(self.talk.ask(None, answer=self.talk.seen))

    def _rename(self, title: str) -> None:
        renamed = self.talk.api.change(self._present().id, title=title)
        self.talk.conversation = renamed
        note(f"this is “{line(renamed.title)}” now")

    def _delete(self, sure: str) -> None:
        here = self._present()
        if sure != "yes":
            return note(f"this deletes “{line(here.title)}” for good; /delete yes does it", PLAIN)
        self.talk.api.delete(here.id)
        self.talk.begin_anew()
        return note("deleted; your next question begins a conversation")

    def _export(self, name: str) -> None:
        here, path = self._present(), typed_path(name)
        if path.suffix not in (".md", ".json"):
            return note("where? /export talk.md to read, /export talk.json to keep", PLAIN)
        written = write_beside(path, self.talk.api.export(here.id, path.suffix[1:]))
        return note(f"wrote “{line(here.title)}” to {written}")

    def _present(self) -> Conversation:
        if self.talk.conversation is None:
            raise InvalidParameterError("nothing has been said yet in this conversation")
        return self.talk.conversation

    def _show_end(self, messages: list[Message]) -> None:
        here = self._present()
        note(f"{line(here.title)}", "1")
        if len(messages) > SHOWN:
            note("(/history shows what was said before)")
        show(messages[-SHOWN:])

    def _unknown(self, command: str) -> None:
        note(f"there is no {line(command)}; {nearest(command, [*COMMANDS, *SAID])}", PLAIN)
