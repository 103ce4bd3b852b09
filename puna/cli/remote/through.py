"""A talk through a server: nothing is loaded here, and everything is kept there.

In: an access and wishes.  Out: a Talker.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

import typer

from puna.cli.answer import INTERRUPTED
from puna.cli.plain import line
from puna.cli.remote.access import Access
from puna.cli.remote.api import Api
from puna.cli.remote.records import Json, Left, read
from puna.cli.remote.slash import COMMANDS, SAID, Slash
from puna.cli.remote.talk import Talk
from puna.cli.remote.telling import meter, note, show
from puna.cli.talker import Wishes
from puna.errors import NotFoundError

NEAR = ("localhost", "127.0.0.1", "::1")


class Through:
    """A server's conversation and its commands; raises RemoteError where it cannot be reached."""

    commands: Collection[str] = (*COMMANDS, *SAID)

    def __init__(self, access: Access, wishes: Wishes) -> None:
        self._api = Api(access)
        self._goes_on = wishes.goes_on
        params = {name: value for name, value in wishes.params.items() if value is not None}
        self._talk = Talk(self._api, wishes.model, system=wishes.system, params=params)
        self._slash = Slash(self._talk)
        try:
            self.name = _named(self._api.url, self._api.me(), wishes.model)
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Show the end of the last conversation, if it is to go on."""
        if (last := self._last()) is not None:
            self._slash.go_on(last)

    def answer(self, question: str) -> None:
        """Show what was said elsewhere meanwhile, then the answer."""
        try:
            unseen = self._talk.unseen()
        except NotFoundError:
            note("this conversation was deleted elsewhere; your question begins another one")
            self._talk.begin_anew()
        else:
            note("said elsewhere meanwhile:" if unseen else "")
            show(unseen)
        self._slash.hear(self._talk.ask(question))

    def answer_once(self, question: str) -> None:
        """Answer, and leave as the answer ended."""
        if (last := self._last()) is not None:
            self._talk.open(last)
        kept = self._slash.hear(self._talk.ask(question))
        if kept is None or kept.outcome == "broken":
            raise typer.Exit(1)
        if kept.outcome == "stopped":
            raise typer.Exit(INTERRUPTED)

    def obey(self, line: str) -> bool:
        """Do what a command says; some are the server's to carry out."""
        if line.split(maxsplit=1)[0] not in SAID:
            return self._slash.obey(line)
        self.answer(line)
        return True

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _last(self) -> str | None:
        """The conversation that was last gone on with, if that is wished for."""
        latest = self._api.conversations(limit=1) if self._goes_on else []
        return latest[0].id if latest else None


def _named(url: str, me: Json, model: str | None) -> str:
    who, left = line(str(me.get("name"))), read(Left, me.get("left"))
    left_over = "" if left.share is None else f" ({meter(left)})"
    name = f"This is {model or me.get('model')} through the server at {url}, as {who}{left_over}."
    return name if _is_private(url) else f"{name} The connection is not encrypted."


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read along."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in NEAR
