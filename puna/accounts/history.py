"""The ledger's history: what was paid in, taken back and charged, the latest first.

In: a tenant, or all.  Out: entries as plain data, page after page.
Requests that cost nothing are no money, and are left out: usage.py counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import select

from puna.accounts.entries import EntryRow
from puna.accounts.store import Store


@dataclass(frozen=True)
class Entry:
    """Money that came (`amount_micros` > 0) or went; a charge names model and key or person."""

    number: int
    at: datetime
    tenant_id: str
    kind: Literal["credit", "charge"]
    amount_micros: int
    currency: str
    note: str
    model: str
    key_id: str | None
    user_id: str | None


class History:
    """Every tenant's entries."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def latest(
        self, tenant_id: str | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Entry]:
        """Return the newest first, those older than the entry with the number `before`."""
        query = select(EntryRow).where(EntryRow.amount_micros != 0)
        if tenant_id is not None:
            query = query.where(EntryRow.tenant_id == tenant_id)
        if before is not None:
            query = query.where(EntryRow.number < before)
        with self._store.read() as session:
            rows = session.scalars(query.order_by(EntryRow.number.desc()).limit(limit))
            return [_entry(row) for row in rows]


def _entry(row: EntryRow) -> Entry:
    return Entry(
        row.number,
        row.at,
        row.tenant_id,
        cast(Literal["credit", "charge"], row.kind),
        row.amount_micros,
        row.currency,
        row.note,
        row.model or "",
        row.key_id,
        row.user_id,
    )
