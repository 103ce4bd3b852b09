"""Everything that a page may ask: accounts, models, and the answers that are being given.

Built once by whoever starts the server.  Knows no request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from puna.accounts import (
    Audit,
    Keys,
    Ledger,
    Links,
    Payments,
    Plans,
    Sessions,
    Store,
    Tenants,
    Users,
)
from puna.accounts.backups import Backups
from puna.accounts.history import History
from puna.accounts.invoice import Invoices
from puna.accounts.usage import UsageReport
from puna.formats.progress import Progress
from puna.formats.store import ModelStore
from puna.server.desk import Desk
from puna.server.disk import Disk
from puna.server.settings import ServerSettings
from puna.server.web.catalogue import Known, Paces
from puna.server.web.console.offers import Offers
from puna.server.web.console.pulls import Pulls
from puna.server.web.pulse import Pulse
from puna.server.web.readings import Readings
from puna.server.web.spool import Spool
from puna.server.web.turns import Turns
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.limits import Limits

READ_AT_ONCE = 2  # files that are whole in memory
BROUGHT_AT_ONCE = 1  # imports that are


@dataclass(frozen=True)
class House:
    """The parts, each with its own contract."""

    audit: Audit
    backups: Backups
    history: History
    invoices: Invoices
    keys: Keys
    ledger: Ledger
    links: Links
    payments: Payments
    plans: Plans
    sessions: Sessions
    tenants: Tenants
    usage: UsageReport
    users: Users
    assistant: Assistant
    answering: Answering
    desk: Desk
    pulse: Pulse
    model_store: ModelStore
    pulls: Pulls
    offers: Offers
    spool: Spool
    readings: Readings
    turns: Turns = field(default_factory=Turns)
    paces: Paces = field(default_factory=Paces)
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READ_AT_ONCE))
    bringing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BROUGHT_AT_ONCE))

    @property
    def default_model(self) -> str:
        """The model of whoever chose none."""
        return self.desk.settings.default_model

    def known_models(self) -> list[Known]:
        """The models that can answer."""
        return [Known(card.name, card.context, card.bytes) for card in self.desk.models.names()]


def house_of(
    store: Store,
    model_store: ModelStore,
    desk: Desk,
    limits: Limits | None = None,
    payments: Payments | None = None,
) -> House:
    """Furnish a house around one database, one folder of models and one server's desk.

    Without `payments`, none are taken.
    """
    users, assistant = Users(store), Assistant(store, limits=limits, lapsed=desk.tally.lapse)

    def fetch(name: str, progress: Progress) -> Path:
        from puna.formats.pull import pull  # noqa: PLC0415 (a server's start can do without a hub)

        return pull(name, model_store, progress)

    return House(
        audit=Audit(store),
        backups=Backups(store, model_store.folder.parent / "backups"),
        history=History(store),
        invoices=Invoices(store),
        keys=Keys(store),
        ledger=desk.ledger,
        links=Links(store, users),
        payments=payments or Payments(store, desk.ledger, None),
        plans=Plans(store),
        sessions=Sessions(store),
        tenants=Tenants(store),
        usage=UsageReport(store),
        users=users,
        assistant=assistant,
        answering=Answering(assistant),
        desk=desk,
        pulse=Pulse(desk),
        model_store=model_store,
        pulls=Pulls(fetch),
        offers=Offers(assistant.remote),
        readings=Readings(desk.tally),
        spool=_spool(store, model_store.folder.parent, desk.settings),
    )


def _spool(store: Store, home: Path, settings: ServerSettings) -> Spool:
    """Let files wait beside the models, on a disk, not in memory, and never fill the database's."""
    folders = [folder for folder in (home, store.folder) if folder is not None and folder.is_dir()]
    waiting = home if home.is_dir() else None
    return Spool(waiting, Disk(folders, settings.spare_bytes), settings.upload_bytes)
