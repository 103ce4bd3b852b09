"""Invoices: one tenant's month as a page that prints well.

In: a tenant and a month.  Out: what was used, paid and left, and its HTML.
Derived from the ledger each time: the same month gives the same invoice.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy import func, select

from puna.accounts.entries import EntryRow
from puna.accounts.money import amount, places
from puna.accounts.store import Store
from puna.accounts.tenants import Tenant, find_tenant
from puna.accounts.usage import UsageReport, Used
from puna.errors import InvalidParameterError


@dataclass(frozen=True)
class Credit:
    """Money that was added, or taken back."""

    day: date
    note: str
    amount_micros: int


@dataclass(frozen=True)
class Invoice:
    """A month: opening_micros + credits - costs = closing_micros, always."""

    number: str
    tenant: Tenant
    first: date
    last: date
    currency: str
    opening_micros: int
    credits: tuple[Credit, ...]
    lines: tuple[Used, ...]  # one for each model
    closing_micros: int

    @property
    def total_micros(self) -> int:
        """What the month's requests cost together."""
        return sum(line.cost_micros for line in self.lines)

    @property
    def amounts(self) -> list[int]:
        """Every amount that it shows, in micro-units."""
        shown = [self.opening_micros, self.total_micros, self.closing_micros]
        shown += [credit.amount_micros for credit in self.credits]
        return shown + [line.cost_micros for line in self.lines]


class Invoices:
    """Every tenant's months."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, tenant: str, month: str) -> Invoice:
        """Return the invoice of a month written as 2026-11."""
        first, last = _month(month)
        with self._store.read() as session:
            found = find_tenant(session, tenant).tenant()
            mine = EntryRow.tenant_id == found.id
            total = select(func.coalesce(func.sum(EntryRow.amount_micros), 0)).where(mine)
            opening = int(session.scalar(total.where(EntryRow.day < _number(first))) or 0)
            closing = int(session.scalar(total.where(EntryRow.day <= _number(last))) or 0)
            rows = session.scalars(
                select(EntryRow)
                .where(mine, EntryRow.kind == "credit")
                .where(EntryRow.day.between(_number(first), _number(last)))
                .order_by(EntryRow.number)
            ).all()
            report = UsageReport(self._store)
            lines = report.rows(by=["model"], tenant_id=found.id, since=first, until=last)
            currencies = {line.currency for line in lines} | {row.currency for row in rows}
        return Invoice(
            number=f"{month}-{found.id}",
            tenant=found,
            first=first,
            last=last,
            currency=min(currencies, default=""),
            opening_micros=opening,
            credits=tuple(Credit(row.at.date(), row.note, row.amount_micros) for row in rows),
            lines=tuple(lines),
            closing_micros=closing,
        )


def as_html(invoice: Invoice, seller: str = "Puna") -> str:
    """Return a page of its own, without a script and without anything from elsewhere."""
    environment = Environment(
        loader=PackageLoader("puna.accounts", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    aligned = partial(_money, places=places(invoice.amounts))
    environment.filters |= {"money": aligned, "count": "{:,}".format, "day": _day}
    return environment.get_template("invoice.html").render(invoice=invoice, seller=seller)


def _money(micros: int, places: int) -> str:
    return amount(micros, places).replace("-", "\N{MINUS SIGN}")


def _day(day: date) -> str:
    """As people write it: no two read it as different days."""
    return (
        f"{day.day}\N{NO-BREAK SPACE}{calendar.month_name[day.month]}\N{NO-BREAK SPACE}{day.year}"
    )


def _month(text: str) -> tuple[date, date]:
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise InvalidParameterError(f"{text!r} is no month; write it as 2026-11") from error
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
