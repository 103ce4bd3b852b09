"""A house that is served on a socket, whose owner signs in and has said a few things."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from puna.server.web.house import House
from puna.services.assistant.owner import Owner
from tests.postgres import memory_disk
from tests.server.web.browser import served
from tests.server.web.house import OWNER, new_house, whole

CONSOLE = [
    "",
    "/models",
    "/usage",
    "/tenants",
    "/users",
    "/keys",
    "/plans",
    "/credits",
    "/tools",
    "/backups",
    "/audit",
]
PAGES = ["/", "/memory", "/settings", "/plan", *(f"/console{tab}" for tab in CONSOLE)]
COUNT = {"completion_tokens": 12, "decode_s": 0.2}


class Home:
    """A served house whose owner has said a few things."""

    def __init__(self, house: House, address: str) -> None:
        self.house, self.address = house, address
        user = house.links.accept(house.links.for_owner() or "", OWNER["email"], OWNER["password"])
        self.user_id, self.owner = user.id, Owner(user.tenant_id, user.id)

    def signed_in(self, context: BrowserContext) -> Page:
        """A page of a browser that holds a session."""
        token = self.house.sessions.create(self.user_id)
        context.add_cookies([{"name": "puna_session", "value": token, "url": self.address}])
        return context.new_page()

    def talk(self, *texts: str, title: str = "") -> str:
        """A conversation: said, answered, said, answered."""
        records = self.house.assistant
        conversation = records.conversations.create(self.owner, title=title)
        parent = None
        for at, text in enumerate(texts):
            if at % 2 == 0:
                parent = records.messages.say(self.owner, conversation.id, parent, text).id
            else:
                said = str(parent)
                answer = records.messages.open_answer(
                    self.owner, conversation.id, said, model="smollm2"
                )
                records.messages.finish(self.owner, answer.id, "complete", text, count=COUNT)
                parent = answer.id
        return conversation.id


@contextmanager
def at_home() -> Iterator[Home]:
    """A new home whose database lies in memory: it is filled with hundreds of commits."""
    with tempfile.TemporaryDirectory(prefix="puna-home-", dir=memory_disk()) as folder:
        house = new_house(Path(folder))
        with served(whole(house)) as address:
            yield Home(house, address)
