"""The page of credits: each tenant's money, how it came and went, and a month as an invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from puna.accounts import Tenant, new_id
from puna.accounts.balance import Balance
from puna.accounts.history import Entry
from puna.accounts.invoice import as_html
from puna.accounts.money import amount, parse_amount
from puna.server.web import words
from puna.server.web.console import payments
from puna.server.web.console.listing import Cell, Field, Form, Listing, Row
from puna.server.web.console.names import names_of
from puna.server.web.console.page import listing_page
from puna.server.web.exports import download
from puna.server.web.house import House
from puna.server.web.reading import Form as Body
from puna.server.web.visit import Visit

SHOWN = 50  # entries on a page
COLUMNS = ("When (UTC)", "Tenant", "What for", "Key or person", "Amount", "Currency")


class Credit(Body):
    """Money for a tenant; a negative amount takes back what is still there."""

    tenant: str
    amount: str
    note: str = ""
    reference: str | None = None  # counts once, however often it is sent


async def credits_page(visit: Visit) -> Response:
    """List the balances, and the entries that they are the sums of."""
    given = visit.request.query_params
    tenant, before = given.get("tenant") or None, given.get("before", "")
    history = visit.house.history
    older = int(before) if before.isascii() and before.isdigit() else None
    entries = await visit.do(history.latest, tenant, before=older, limit=SHOWN + 1)
    tenants = await visit.do(visit.house.tenants.list)
    names = await visit.do(names_of, visit.house)
    dues = await visit.do(visit.house.payments.latest, tenant, limit=payments.SHOWN)
    return await listing_page(
        visit,
        listing(await visit.do(balances, visit.house, tenants)),
        "console/credits.html",
        columns=COLUMNS,
        history=[_entry(entry, names) for entry in entries[:SHOWN]],
        payment_columns=payments.COLUMNS,
        payments=payments.rows(dues, names, visit.house.payments.provider),
        tenants=tenants,
        shown=tenant or "",
        older=entries[SHOWN - 1].number if len(entries) > SHOWN else None,
        month=f"{datetime.now(UTC):%Y-%m}",
    )


async def add_credits(visit: Visit) -> Response:
    """Add money, or take it back."""
    new = await visit.form(Credit)
    micros = parse_amount(new.amount)
    await visit.do(
        visit.house.ledger.credit,
        new.tenant,
        micros,
        note=new.note.strip(),
        reference=new.reference,
        actor=visit.actor,
    )
    return JSONResponse({})


async def invoice(visit: Visit) -> Response:
    """Give a tenant's month as a page that prints well."""
    given = visit.request.query_params
    tenant, month = given.get("tenant", ""), given.get("month", "")
    made = await visit.do(visit.house.invoices.get, tenant, month)
    name = f"invoice-{words.file_stem(made.tenant.name)}-{month}.html"
    return download(as_html(made), name, "text/html; charset=utf-8")


def balances(house: House, tenants: Sequence[Tenant]) -> list[tuple[Tenant, Balance]]:
    """Read every tenant's money; waits for the database."""
    return [(tenant, house.ledger.balance(tenant.id)) for tenant in tenants]


def listing(held: Sequence[tuple[Tenant, Balance]]) -> Listing:
    """Draw the balances up as rows."""
    options = [(tenant.id, tenant.name) for tenant, _ in held]
    form = Form(
        "Add credits",
        "/web/console/credits",
        (
            Field("tenant", "Tenant", "select", options),
            Field("amount", "Amount", hint="25.00"),
            Field("note", "Note, shown on the invoice", required=False),
        ),
        "Add",
        hidden={"reference": new_id("console")},  # a second sending of this very page is none
    )
    return Listing(
        "/credits",
        "Credits",
        "Prepaid money, for tenants whose plan has prices. A negative amount takes back what is "
        "still there.",
        ("Tenant", "Left", "Paid", "Spent", "Reserved", "Currency"),
        [_balance(tenant, balance) for tenant, balance in held],
        [form],
    )


def _balance(tenant: Tenant, balance: Balance) -> Row:
    sums = (
        balance.available_micros,
        balance.credited_micros,
        balance.spent_micros,
        balance.reserved_micros,
    )
    money = (Cell(amount(micros), right=True) for micros in sums)
    return Row((Cell(tenant.name), *money, Cell(balance.currency)))


def _entry(entry: Entry, names: Mapping[str, str]) -> Row:
    who = entry.key_id or entry.user_id or ""
    what = entry.note or entry.model or "credit"
    return Row(
        (
            Cell(words.moment(entry.at)),
            Cell(names.get(entry.tenant_id, entry.tenant_id)),
            Cell(what),
            Cell(names.get(who, who)),
            Cell(amount(entry.amount_micros), right=True),
            Cell(entry.currency),
        )
    )
