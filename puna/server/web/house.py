"""Everything that a page may ask: accounts, models, and the answers that are being given.

Built once by whoever starts the server.  Knows no request.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from puna.accounts import Audit, Keys, Ledger, Links, Plans, Sessions, Store, Tenants, Users
from puna.formats.progress import Progress
from puna.formats.pull import pull
from puna.formats.store import ModelStore
from puna.server.web.console.pulls import Pulls
from puna.server.web.turns import Turns

LOCAL = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class House:
    """The parts, each with its own contract; `hosts` are the names that the server answers to."""

    audit: Audit
    keys: Keys
    ledger: Ledger
    links: Links
    plans: Plans
    sessions: Sessions
    tenants: Tenants
    users: Users
    model_store: ModelStore
    pulls: Pulls
    hosts: Collection[str] = LOCAL
    turns: Turns = field(default_factory=Turns)


def house_of(store: Store, model_store: ModelStore, hosts: Collection[str] = LOCAL) -> House:
    """Furnish a house around one database and one folder of models."""
    users = Users(store)

    def fetch(name: str, progress: Progress) -> Path:
        return pull(name, model_store, progress)

    return House(
        audit=Audit(store),
        keys=Keys(store),
        ledger=Ledger(store),
        links=Links(store, users),
        plans=Plans(store),
        sessions=Sessions(store),
        tenants=Tenants(store),
        users=users,
        model_store=model_store,
        pulls=Pulls(fetch),
        hosts=hosts,
    )
