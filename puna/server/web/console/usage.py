"""The page of usage: thirty days in two charts, and who asked how much."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response

from puna.accounts.usage import Used, as_csv
from puna.server.web import words
from puna.server.web.charts import Bar, bars
from puna.server.web.console.listing import Cell, Listing, Row
from puna.server.web.console.names import names_of
from puna.server.web.console.page import listing_page
from puna.server.web.exports import download
from puna.server.web.visit import Visit

DAYS = 30


async def usage_page(visit: Visit) -> Response:
    """Draw the last thirty days, and list them by tenant, key and model."""
    today = datetime.now(UTC).date()
    since, usage = today - timedelta(days=DAYS - 1), visit.house.usage
    by_day = await visit.do(usage.rows, by=("day",), since=since)
    by_whom = await visit.do(usage.rows, by=("tenant", "key", "model"), since=since)
    return await listing_page(
        visit,
        listing(by_whom, await visit.do(names_of, visit.house)),
        "console/usage.html",
        tokens_chart=bars(token_bars(by_day, today), "tokens by day"),
        requests_chart=bars(request_bars(by_day, today), "requests by day"),
    )


async def usage_csv(visit: Visit) -> Response:
    """Give everything as a file."""
    rows = await visit.do(visit.house.usage.rows)
    return download(as_csv(rows), "usage.csv", "text/csv; charset=utf-8")


def token_bars(rows: list[Used], today: date) -> list[Bar]:
    """Tokens asked, and those answered above them."""
    return [
        Bar(words.day(day), sum(r.prompt_tokens for r in of), sum(r.completion_tokens for r in of))
        for day, of in _by_day(rows, today)
    ]


def request_bars(rows: list[Used], today: date) -> list[Bar]:
    """Requests."""
    return [Bar(words.day(day), sum(r.requests for r in of)) for day, of in _by_day(rows, today)]


def listing(rows: list[Used], names: Mapping[str, str]) -> Listing:
    """Draw the groups up as rows."""
    columns = (
        "Tenant",
        "Key or person",
        "Model",
        "Requests",
        "Asked",
        "Cached",
        "Answered",
        "Cost",
    )
    lead = f"Tokens and money of the last {DAYS} days, from the ledger itself."
    return Listing("/usage", "Usage", lead, columns, [_row(row, names) for row in rows])


def _by_day(rows: list[Used], today: date) -> list[tuple[date, list[Used]]]:
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return [(day, [row for row in rows if row.day == day.isoformat()]) for day in days]


def _row(row: Used, names: Mapping[str, str]) -> Row:
    counts = (row.requests, row.prompt_tokens, row.cached_tokens, row.completion_tokens)
    return Row(
        (
            *(Cell(text) for text in (row.tenant, names.get(row.key, row.key), row.model)),
            *(Cell(words.count(n), right=True) for n in counts),
            Cell(words.money(row.cost_micros, row.currency), right=True),
        )
    )
