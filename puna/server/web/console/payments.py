"""Payments on the page of credits: which were begun, which have come."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from puna.accounts import Due
from puna.accounts.money import amount
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Row
from puna.server.web.visit import Visit

COLUMNS = ("Begun (UTC)", "Tenant", "Name", "Amount", "Currency", "State")
SHOWN = 50


async def confirm(visit: Visit) -> Response:
    """Add the credit: the owner has seen the money, or the provider says that it came."""
    payments, checkout = visit.house.payments, visit.path("checkout")
    credited = await visit.do(payments.confirm, checkout, actor=visit.actor)
    return JSONResponse({"credited": credited})


def rows(dues: list[Due], names: Mapping[str, str], provider: str | None) -> list[Row]:
    """Draw the payments up as rows; those that are still open can be confirmed."""
    return [_row(due, names, provider) for due in dues]


def _row(due: Due, names: Mapping[str, str], provider: str | None) -> Row:
    state = Cell(f"paid {words.day(due.paid_at)}" if due.paid_at else "open")
    actions = [_action(due)] if due.paid_at is None and due.provider == provider else []
    return Row(
        (
            Cell(words.moment(due.created_at)),
            Cell(names.get(due.tenant_id, due.tenant_id)),
            Cell(due.id),
            Cell(amount(due.amount_micros), right=True),
            Cell(due.currency),
            state,
        ),
        actions,
    )


def _action(due: Due) -> Action:
    url = f"/web/console/checkouts/{due.id}/confirm"
    if due.provider != "local":
        return Action(f"Ask {due.provider.capitalize()}", url)
    money = words.money(due.amount_micros, due.currency)
    return Action("It has come", url, sure=f"Has {money} come in? It becomes credit.")
