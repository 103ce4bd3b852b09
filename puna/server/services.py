"""What the server works with, built by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass

from puna.accounts import Idempotency, Keys, Ledger, LocalKey, Store
from puna.accounts.idempotency import RepeatBounds
from puna.llm.models import Models
from puna.services.responses import ResponseBounds, Responses


@dataclass(frozen=True)
class Services:
    """The parts, each with its own contract."""

    store: Store
    keys: Keys
    ledger: Ledger
    models: Models
    local_key: LocalKey
    responses: Responses
    idempotency: Idempotency

    @classmethod
    def of(
        cls,
        store: Store,
        models: Models,
        *,
        responses: ResponseBounds | None = None,
        repeats: RepeatBounds | None = None,
    ) -> Services:
        """Furnish a server around one database and the models."""
        return cls(
            store,
            Keys(store),
            Ledger(store),
            models,
            LocalKey(store),
            Responses(store, bounds=responses),
            Idempotency(store, bounds=repeats),
        )
