"""A home in which every foreign text is hostile: whatever the database keeps, files, models, tools.

In: the payloads.  Out: the home, and the conversations to look at.  Which columns hold foreign text
stands in FOREIGN; a column that is in no list is found by the test that reads the tables.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, String, Table, select, update
from sqlalchemy.orm import Session

from puna.accounts.audit import EventRow
from puna.accounts.entries import EntryRow
from puna.accounts.plans import Plan
from puna.accounts.schema import Base, new_id, utc_now
from puna.chat import Tool as Definition
from puna.server.web.console.offers import Offer, Offers
from puna.services.assistant.files import FileRow
from puna.services.assistant.tools.calls import CallRow
from tests.postgres import memory_disk
from tests.server.web.browser import served
from tests.server.web.home import Home
from tests.server.web.house import new_house, whole
from tests.server.web.payloads import PAYLOADS
from tests.tiny import TinyLlama

MANY = 100  # rows of a table
MARKS = ("hit()", "evil.invalid")  # one of them is in each payload
Value = Callable[[str], Any]


def plain(text: str) -> str:
    """The payload itself."""
    return text


FOREIGN: Mapping[str, Value] = {
    "users.name": plain,
    "users.email": plain,
    "tenants.name": plain,
    "keys.name": plain,
    "plans.title": plain,
    "plans.models": lambda text: [text],
    "plans.prices": lambda text: {text: [1, 1, 1]},
    "assistant_conversations.title": plain,
    "assistant_conversations.model": plain,
    "assistant_presets.name": plain,
    "assistant_presets.instructions": plain,
    "assistant_presets.model": plain,
    "assistant_presets.parameters": lambda text: {text: text},
    "assistant_presets.tools": lambda text: [text],
    "assistant_passages.text": plain,
    "assistant_passages.heading": plain,
    "assistant_tool_servers.command": lambda text: [text],
    "assistant_tool_servers.url": plain,
    "assistant_tool_servers.token_file": plain,
    "assistant_tool_servers.allowed": lambda text: {text: text},
    "assistant_tool_calls.tool": plain,
}


class Telling(Offers):
    """Tool servers that are up, and say hostile things of themselves; every other one is broken."""

    async def of(self, names: Sequence[str]) -> dict[str, Offer]:
        """What each says."""
        tools = [Definition(text, text, {"type": "object"}) for text in PAYLOADS[:MANY]]
        told = (Offer(tools), Offer(fault=PAYLOADS[0]))
        return {name: told[at % 2] for at, name in enumerate(names)}


def text_columns() -> Iterator[Column[Any]]:
    """Every column of every table that could hold a text."""
    for table in Base.metadata.sorted_tables:
        yield from (one for one in table.columns if isinstance(one.type, (String, JSON)))


@contextmanager
def poisoned() -> Iterator[tuple[Home, list[str]]]:
    """A home full of hostile texts; yields the conversations that hold them, too."""
    with tempfile.TemporaryDirectory(prefix="puna-hostile-", dir=memory_disk()) as folder:
        keep_models(Path(folder) / "models")
        house = new_house(Path(folder))
        house = replace(house, offers=Telling(house.assistant.remote))
        with served(whole(house)) as address:
            home = Home(house, address)
            with house.assistant.store.write():  # hundreds of commits at once
                talks = fill(home)
            yield home, talks


def keep_models(folder: Path) -> None:
    """Models whose names are hostile, as far as a file's name can be."""
    tiny = TinyLlama(seed=1).write_gguf(folder.parent / "tiny.gguf")
    for text in PAYLOADS:
        if "/" not in text and "\0" not in text and len(text) < 100 and text[0] not in ".":
            (folder / text).mkdir(parents=True)
            (folder / text / "tiny.gguf").hardlink_to(tiny)


def fill(home: Home) -> list[str]:
    """Put hostile texts wherever foreign text lands; returns the conversations to look at."""
    talks = [talk_of(home, PAYLOADS[at : at + 100]) for at in range(0, len(PAYLOADS), 100)]
    talks.append(cited_talk(home))
    records, owner, house = home.house.assistant, home.owner, home.house
    for payload in PAYLOADS:
        records.memory.add(owner, payload)
    for at, payload in enumerate(PAYLOADS[:MANY]):
        records.memory.propose(owner, f"? {payload}")
        records.presets.create(owner, f"preset {at}", "x")
        house.keys.create(f"key {at}")
        house.plans.create(Plan(f"plan-{at}", "x"))
        tenant = house.tenants.create(f"tenant {at}", f"plan-{at}")
        house.links.accept(house.links.invite(tenant.id), f"{at}@example.org", "a long password")
        house.links.invite(tenant.id)
        house.ledger.credit(tenant.id, 1_000_000, note=payload[:500])
    for at in range(4):
        records.servers.add(f"hostile-{at}", command=["x"])
        records.files.add(owner, f"{at}.md", b"# A heading\n\nSome words about llamas.")
    with house.assistant.store.write() as session:
        keep_files(session, home)
        keep_lines(session, home)
        for name, value in FOREIGN.items():
            table, column = name.split(".")
            spoil(session, Base.metadata.tables[table], column, value)
    return talks


def talk_of(home: Home, payloads: Sequence[str]) -> str:
    """Said and answered, each of them."""
    said = [text for payload in payloads for text in (payload, payload)]
    return home.talk(*said, title="x")


def cited_talk(home: Home) -> str:
    """An answer that broke off, with hostile sources and calls of tools."""
    records, owner = home.house.assistant, home.owner
    talk = records.conversations.create(owner, title="sources")
    said = records.messages.say(owner, talk.id, None, "x")
    answer = records.messages.open_answer(owner, talk.id, said.id, model=PAYLOADS[0])
    source = [
        {"number": n + 1, "file_id": "", **dict.fromkeys(("name", "text", "quote", "where"), p)}
        for n, p in enumerate(PAYLOADS[:30])
    ]
    fields = ("id", "name", "label", "arguments", "result")
    steps = [{"text": "", "calls": [dict.fromkeys(fields, p) for p in PAYLOADS[:60]]}]
    marks = " ".join(f"[{n}]" for n in range(1, 31))
    records.messages.finish(
        owner, answer.id, "broken", marks, steps=steps, sources=source, error=PAYLOADS[0]
    )
    return talk.id


def keep_files(session: Session, home: Home) -> None:
    """Files as if they had been read: their names are what lands on the pages."""
    for at, payload in enumerate(PAYLOADS[:MANY]):
        data = f"{payload} {at}".encode()
        row = FileRow(
            id=new_id("fil"),
            tenant_id=home.owner.tenant_id,
            user_id=home.owner.user_id,
            name=payload[:190],
            media_type=payload[:100],
            n_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content=data,
            pages=0,
            passages=0,
            words=1,
            created_at=utc_now(),
        )
        session.add(row)


def keep_lines(session: Session, home: Home) -> None:
    """Charges in the books and lines of the logs: what only grows, so what is hostile at once."""
    now, who = utc_now(), {"tenant_id": home.owner.tenant_id, "user_id": home.user_id}
    day = now.year * 10_000 + now.month * 100 + now.day
    terms = {"kind": "charge", "amount_micros": -1, "currency": "USD", "at": now, "day": day}
    counts = {"took_ms": 1, "argument_characters": 1, "result_characters": 1}
    for at, payload in enumerate(PAYLOADS[:MANY]):
        charge = EntryRow(reference=f"charge-{at}", outcome="success", **terms, **who)
        charge.model, charge.note = payload[:300], payload[:500]
        event = EventRow(at=now, actor=payload[:100], action=payload[:50], target=payload[:200])
        event.detail = {payload: payload, "name": payload}
        session.add_all([charge, event])
        session.add(CallRow(at=now, message_id="m", tool="x", outcome="done", **counts, **who))
    session.flush()


def spoil(session: Session, table: Table, column: str, value: Value) -> None:
    """Write a payload into each row of a column, as long as it has room."""
    keys = list(table.primary_key.columns)
    most = getattr(table.columns[column].type, "length", None) or 10_000
    for at, key in enumerate(session.execute(select(*keys)).all()):
        payload = PAYLOADS[at % len(PAYLOADS)]
        unique = f"{payload[: most - 5]} {at}" if most > 100 else payload[:most]
        same = [one == part for one, part in zip(keys, key, strict=True)]
        session.execute(update(table).where(*same).values({column: value(unique)}))
