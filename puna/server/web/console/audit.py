"""The page of the audit log: who changed what, and when."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from puna.accounts.audit import Event
from puna.accounts.money import amount
from puna.server.web import words
from puna.server.web.console.listing import Cell, Listing, Row
from puna.server.web.console.names import names_of
from puna.server.web.console.page import listing_page
from puna.server.web.visit import Visit

SHOWN = 200


async def audit_page(visit: Visit) -> Response:
    """List the latest events."""
    events = await visit.do(visit.house.audit.latest, SHOWN)
    names = await visit.do(names_of, visit.house)
    return await listing_page(visit, listing(events, names))


def listing(events: list[Event], names: Mapping[str, str]) -> Listing:
    """Draw the events up as rows."""
    columns = ("When (UTC)", "Who", "What", "Whom", "Details")
    lead = "Every change of keys, people, tenants and plans. What is said in a chat is not here."
    return Listing("/audit", "Audit", lead, columns, [_row(event, names) for event in events])


def _row(event: Event, names: Mapping[str, str]) -> Row:
    details = ", ".join(_fact(name, value) for name, value in event.detail.items() if value)
    who, whom = (names.get(one, one) for one in (event.actor, event.target))
    texts = (words.moment(event.at), who, event.action, whom, details)
    return Row([Cell(text) for text in texts])


def _fact(name: str, value: object) -> str:
    if name.endswith("_micros") and isinstance(value, int):
        return f"{name.removesuffix('_micros')}: {amount(value)}"
    if isinstance(value, list):
        return f"{name}: {' '.join(map(str, value))}"
    return f"{name}: {value}"
