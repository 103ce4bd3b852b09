"""The page of plans: what may be used, how fast, how much a month, at what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from puna.accounts.plans import EVERY_MODEL, Plan, Price
from puna.server.web import words
from puna.server.web.console.listing import Cell, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.reading import Form as Body
from puna.server.web.visit import Visit

LIMITS = {
    "monthly_tokens": "Tokens a month",
    "requests_per_minute": "Requests a minute",
    "tokens_per_minute": "Tokens a minute",
    "concurrent_requests": "Requests at once",
}
SHOWN = 2  # of the limits, in the table; the forms have all
OFFERED = (("no", "you"), ("yes", "its people"))


class Terms(Body):
    """The terms that the page offers; an empty number is without limit."""

    title: str
    models: str = EVERY_MODEL
    monthly_tokens: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    priority: int = 0
    offered: Literal["yes", "no"] = "no"
    input_price: float | None = None
    cached_price: float | None = None
    output_price: float | None = None


class NewPlan(Terms):
    """A plan with its name."""

    id: str
    currency: str = "USD"


async def plans_page(visit: Visit) -> Response:
    """List them, with a form for each."""
    return await listing_page(visit, listing(await visit.do(visit.house.plans.list)))


async def create_plan(visit: Visit) -> Response:
    """Add one."""
    new = await visit.form(NewPlan)
    plan = Plan(new.id, currency=new.currency, **_terms(new, {}))
    await visit.do(visit.house.plans.create, plan, actor=visit.actor)
    return JSONResponse({})


async def change_plan(visit: Visit) -> Response:
    """Give it other terms, from the next request on."""
    form, plan = await visit.form(Terms), await visit.do(visit.house.plans.get, visit.path("plan"))
    terms = _terms(form, plan.prices)
    await visit.do(visit.house.plans.change, plan.id, actor=visit.actor, **terms)
    return JSONResponse({})


def _terms(form: Terms, before: Mapping[str, Price]) -> dict[str, Any]:
    return {
        **{name: getattr(form, name) for name in ("title", *LIMITS, "priority")},
        "models": tuple(form.models.replace(",", " ").split()) or (EVERY_MODEL,),
        "offered": form.offered == "yes",
        "prices": _prices(form, before),
    }


def _prices(form: Terms, before: Mapping[str, Price]) -> dict[str, Price]:
    """The price of every model; what single models cost stays as it was."""
    singly = {model: price for model, price in before.items() if model != EVERY_MODEL}
    if not form.input_price and not form.output_price:
        return singly
    cached = form.input_price if form.cached_price is None else form.cached_price
    prices = (form.input_price, cached, form.output_price)
    return {**singly, EVERY_MODEL: Price(*(round((p or 0) * words.MICRO) for p in prices))}


def listing(plans: list[Plan]) -> Listing:
    """Draw the plans up as rows."""
    id_field = Field("id", "Short name", hint="team")
    currency = Field("currency", "Currency", value="USD")
    new = Form("A new plan", "/web/console/plans", (id_field, *_fields(None), currency), "Add")
    return Listing(
        "/plans",
        "Plans",
        "What a tenant may use, how fast, how much a month, and at what price.",
        (
            "Plan",
            *list(LIMITS.values())[:SHOWN],
            "Price of a million",
            "Chosen by",
        ),
        [_row(plan) for plan in plans],
        [*(_change(plan) for plan in plans), new],
    )


def price_words(plan: Plan) -> str:
    """`0.50 USD in, 1.50 USD out`, or `free`."""
    if not plan.prices:
        return "free of charge"
    price = plan.prices.get("*") or next(iter(plan.prices.values()))
    asked, answered = (
        words.money(m, plan.currency) for m in (price.input_micros, price.output_micros)
    )
    return f"{asked} in, {answered} out"


def limit(n: int | None) -> str:
    """A number, or that there is none."""
    return "no limit" if n is None else words.count(n)


def _row(plan: Plan) -> Row:
    limits = (getattr(plan, name) for name in list(LIMITS)[:SHOWN])
    return Row(
        (
            Cell(plan.title or plan.id),
            *(Cell(limit(n), right=True) for n in limits),
            Cell(price_words(plan), right=True),
            Cell(dict(OFFERED)[_yes(plan.offered)]),
        )
    )


def _fields(plan: Plan | None) -> tuple[Field, ...]:
    def number(
        name: str, label: str, value: float | None, step: str = "1", none: str = "without limit"
    ) -> Field:
        shown = "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
        return Field(name, label, "number", (), shown, none, required=False, step=step)

    price = plan.prices.get(EVERY_MODEL) if plan else None
    asked, cached, answered = (n / words.MICRO for n in astuple(price)) if price else (0, None, 0)
    shown = plan or Plan("new")
    limits = [number(name, label, getattr(plan, name, None)) for name, label in LIMITS.items()]
    return (
        Field("title", "Title", value=shown.title),
        Field("models", "Models, * for all", value=" ".join(shown.models)),
        *limits,
        Field("priority", "Priority, the higher first", value=str(shown.priority)),
        Field("offered", "Chosen for a tenant by", "select", OFFERED, _yes(shown.offered)),
        number("input_price", "Price of a million tokens in", asked, "any"),
        number("cached_price", "…of these, found in the cache", cached, "any", "as the others"),
        number("output_price", "…and out", answered, "any"),
    )


def _yes(offered: bool) -> str:
    return "yes" if offered else "no"


def _change(plan: Plan) -> Form:
    url = f"/web/console/plans/{plan.id}"
    return Form(f"{plan.title or plan.id}", url, _fields(plan), "Keep", "PATCH")
