"""What the server works with, built by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass

from puna.accounts import Keys, Ledger, LocalKey, Store
from puna.llm.models import Models


@dataclass(frozen=True)
class Services:
    """The parts, each with its own contract."""

    store: Store
    keys: Keys
    ledger: Ledger
    models: Models
    local_key: LocalKey

    @classmethod
    def of(cls, store: Store, models: Models) -> Services:
        """Furnish a server around one database and the models."""
        return cls(store, Keys(store), Ledger(store), models, LocalKey(store))
