"""What the server works with, built by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass

from puna.accounts import (
    Idempotency,
    Keys,
    Ledger,
    LocalKey,
    PaymentProvider,
    Payments,
    Store,
)
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
    payments: Payments

    @classmethod
    def of(
        cls,
        store: Store,
        models: Models,
        *,
        responses: ResponseBounds | None = None,
        repeats: RepeatBounds | None = None,
        provider: PaymentProvider | None = None,
    ) -> Services:
        """Furnish a server around one database and the models; `provider` takes payments."""
        ledger = Ledger(store)
        return cls(
            store,
            Keys(store),
            ledger,
            models,
            LocalKey(store),
            Responses(store, bounds=responses),
            Idempotency(store, bounds=repeats),
            Payments(store, ledger, provider),
        )
