"""Usage: what was asked, counted and charged, by tenant, key, model and day.

In: days and a choice of columns.  Out: sums over the ledger's entries, also as CSV.
Reads the entries alone: nothing is counted a second time anywhere.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

from sqlalchemy import func, select

from puna.accounts.entries import EntryRow
from puna.accounts.keys import KeyRow
from puna.accounts.money import amount
from puna.accounts.store import Store
from puna.accounts.tenants import TenantRow

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Column = Literal["day", "tenant", "key", "model"]
COLUMNS: tuple[Column, ...] = get_args(Column)
HEADINGS = (
    "day,tenant,key,model,requests,prompt_tokens,cached_tokens,completion_tokens,cost,currency"
)


@dataclass(frozen=True)
class Used:
    """The sums of one group; columns that were not asked for are empty."""

    day: str  # as 2026-11-24, in UTC
    tenant: str
    key: str
    model: str
    requests: int
    prompt_tokens: int  # cached ones included
    cached_tokens: int
    completion_tokens: int
    cost_micros: int
    currency: str


class UsageReport:
    """Sums over the ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def rows(
        self,
        *,
        by: Sequence[Column] = COLUMNS,
        tenant_id: str | None = None,
        key_id: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> list[Used]:
        """Return one row for each group, both days included, in the order of the columns."""
        names = {
            "day": EntryRow.day,
            "tenant": TenantRow.name,
            "key": func.coalesce(KeyRow.name, EntryRow.user_id, ""),
            "model": EntryRow.model,
        }
        groups: list[Any] = [names[column].label(column) for column in COLUMNS if column in by]
        query = (
            select(*groups, EntryRow.currency, *_sums())
            .join(TenantRow, TenantRow.id == EntryRow.tenant_id)
            .outerjoin(KeyRow, KeyRow.id == EntryRow.key_id)
            .where(EntryRow.kind == "charge")
            .group_by(*groups, EntryRow.currency)
            .order_by(*groups, EntryRow.currency)
        )
        for column, value in ((EntryRow.tenant_id, tenant_id), (EntryRow.key_id, key_id)):
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(EntryRow.day >= _number(since))
        if until is not None:
            query = query.where(EntryRow.day <= _number(until))
        with self._store.read() as session:
            return [_used(row._mapping) for row in session.execute(query)]


def as_csv(rows: Sequence[Used]) -> str:
    """Return the rows as CSV with a heading; costs in whole currency, exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADINGS.split(","))
    for row in rows:
        counts = (row.requests, row.prompt_tokens, row.cached_tokens, row.completion_tokens)
        names = map(harmless, (row.day, row.tenant, row.key, row.model))
        writer.writerow([*names, *counts, amount(row.cost_micros).replace(",", ""), row.currency])
    return text.getvalue()


def _sums() -> list[Any]:
    return [
        func.count().label("requests"),
        func.sum(EntryRow.prompt_tokens).label("prompt_tokens"),
        func.sum(EntryRow.cached_tokens).label("cached_tokens"),
        func.sum(EntryRow.completion_tokens).label("completion_tokens"),
        (-func.sum(EntryRow.amount_micros)).label("cost_micros"),
    ]


def _used(row: Any) -> Used:
    digits = str(row.get("day", ""))
    day = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if digits else ""
    texts: dict[str, Any] = {
        name: row.get(name, "") for name in ("tenant", "key", "model", "currency")
    }
    # PostgreSQL's sum of whole numbers is a Decimal without decimals.
    counts: dict[str, Any] = {sum_.name: int(row[sum_.name]) for sum_ in _sums()}
    return Used(day=day, **texts, **counts)


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def harmless(text: str) -> str:
    """A spreadsheet runs text that begins like a formula; an apostrophe makes it text again."""
    return f"'{text}" if text.startswith(FORMULA_BEGINNINGS) else text
