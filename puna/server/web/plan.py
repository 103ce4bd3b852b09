"""The plan's page: what is left, and which other plans there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from puna.accounts import Plan
from puna.accounts.payments import Due
from puna.accounts.users import User
from puna.server.web import words
from puna.server.web.left import meters_of
from puna.server.web.reading import Form
from puna.server.web.refused import RefusedError
from puna.server.web.visit import Visit
from puna.server.web.visitor import Visitor

SHOWN = 5  # payments


@dataclass(frozen=True)
class Offer:
    """One plan as the page shows it."""

    name: str
    price: str
    words: str
    mine: bool
    id: str
    offered: bool


class Chosen(Form):
    """The plan that is wanted from now on."""

    plan: str


@dataclass(frozen=True)
class Payment:
    """A payment as the page shows it."""

    id: str
    amount: str
    state: str


async def plan_page(visit: Visit) -> Response:
    """Show what is left, and how to get more."""
    house, caller = visit.house, visit.visitor.caller
    standing = await visit.do(house.ledger.standing, caller)
    plans = await visit.do(house.plans.list)
    people = await visit.do(house.users.list)
    payments = await visit.do(house.payments.latest, caller.tenant_id, limit=SHOWN)
    mine = offer(caller.plan, mine=True)
    others = [offer(plan, mine=plan.id == caller.plan.id) for plan in plans if plan.id != "owner"]
    meters = meters_of(standing)
    return await visit.page(
        "plan.html",
        here="plan",
        mine=mine,
        others=others,
        meters=meters,
        owner_email=owners_address(people),
        may_choose=_may_choose(people, visit.visitor),
        payable=house.payments.provider is not None and bool(caller.plan.prices),
        currency=caller.plan.currency,
        payments=[payment(due) for due in payments],
    )


async def choose(visit: Visit) -> Response:
    """Move the visitor's tenant to a plan that is offered."""
    wanted = (await visit.form(Chosen)).plan
    people = await visit.do(visit.house.users.list)
    if not _may_choose(people, visit.visitor):
        raise RefusedError(403, "An administrator of your tenant chooses its plan.")
    caller = visit.visitor.caller
    await visit.do(visit.house.tenants.choose_plan, caller.tenant_id, wanted, actor=visit.actor)
    return JSONResponse({})


def payment(due: Due) -> Payment:
    """One payment in a line."""
    state = f"paid on {words.day(due.paid_at)}" if due.paid_at else "not paid yet"
    return Payment(due.id, words.money(due.amount_micros, due.currency), state)


def offer(plan: Plan, *, mine: bool) -> Offer:
    """The terms as a person reads them."""
    return Offer(plan.title or plan.id, price(plan), terms(plan), mine, plan.id, plan.offered)


def price(plan: Plan) -> str:
    """What a million tokens of prompts and of answers cost at most, if anything."""
    if not plan.prices:
        return "No charge"
    asked = max(one.input_micros for one in plan.prices.values())
    answered = max(one.output_micros for one in plan.prices.values())
    return f"{words.money(asked, plan.currency)} in, {words.money(answered, plan.currency)} out"


def terms(plan: Plan) -> str:
    """One sentence of limits."""
    parts = [
        _limit(plan.monthly_tokens, "tokens a month"),
        _limit(plan.requests_per_minute, "requests a minute"),
        f"a million tokens cost {price(plan)}" if plan.prices else None,
    ]
    return "; ".join(part for part in parts if part) or "Without limit."


def _may_choose(people: Sequence[User], visitor: Visitor) -> bool:
    """A tenant's administrators choose for it; where it has none, whoever is in it."""
    admins = {
        user.id
        for user in people
        if user.tenant_id == visitor.tenant_id and user.role == "admin" and not user.disabled_at
    }
    return visitor.user_id in admins or not (admins or visitor.owner)


def _limit(n: int | None, unit: str) -> str | None:
    return None if n is None else f"{words.count(n)} {unit}"


def owners_address(people: Sequence[User]) -> str | None:
    """Whom to turn to."""
    return next((user.email for user in people if user.role == "owner"), None)
