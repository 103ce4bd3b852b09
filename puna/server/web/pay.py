"""Paying for credits: a payment is begun, and its page says how it stands."""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import JSONResponse, Response

from puna.accounts import Due
from puna.accounts.money import parse_amount
from puna.errors import PaymentError
from puna.server.web.plan import owners_address, payment
from puna.server.web.reading import Form
from puna.server.web.refused import RefusedError
from puna.server.web.visit import Visit


class Amount(Form):
    """How much, in the currency of one's plan."""

    amount: str


async def begin(visit: Visit) -> Response:
    """Make a payment for the visitor's tenant; answers where it can be made."""
    micros = parse_amount((await visit.form(Amount)).amount)
    caller = visit.visitor.caller
    if not caller.plan.prices:
        raise RefusedError(400, "Your plan has no prices, so credit would be of no use.")
    begun = await visit.do(visit.house.payments.checkout, caller.tenant_id, micros, visit.origin)
    return JSONResponse({"next": begun.url}, 201)


async def pay_page(visit: Visit) -> Response:
    """Show one payment to those whose it is, and to the server's owner."""
    due = await visit.do(visit.house.payments.get, visit.path("checkout"))
    if due.tenant_id != visit.visitor.tenant_id and not visit.visitor.owner:
        raise RefusedError(404, "There is no such payment.")
    due = await _asked_after(visit, due)
    people = await visit.do(visit.house.users.list)
    return await visit.page(
        "pay.html",
        here="plan",
        payment=payment(due),
        paid=due.paid_at is not None,
        by_hand=due.provider == "local",
        provider=due.provider.capitalize(),
        owner_email=owners_address(people),
    )


async def _asked_after(visit: Visit, due: Due) -> Due:
    """Make up for a message that was missed: ask who takes the money, if that can be asked."""
    payments = visit.house.payments
    if due.paid_at is not None or due.provider != payments.provider:
        return due
    with suppress(PaymentError):  # out of reach: the page says that nothing is known yet
        await visit.do(payments.refresh, due.id)
    return await visit.do(payments.get, due.id)
