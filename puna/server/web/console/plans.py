"""The page of plans: what may be used, how fast, how much a month, at what price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from puna.accounts.plans import Plan, Price
from puna.server.web import words
from puna.server.web.console.listing import Cell, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.reading import Form as Body
from puna.server.web.visit import Visit


class Terms(Body):
    """The terms that the page offers; an empty number is without limit."""

    title: str
    monthly_tokens: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_price: float | None = None
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
    limits = ("title", "monthly_tokens", "requests_per_minute", "tokens_per_minute")
    return {**{name: getattr(form, name) for name in limits}, "prices": _prices(form, before)}


def _prices(form: Terms, before: Mapping[str, Price]) -> dict[str, Price]:
    """The price of every model; what single models cost, and cached tokens, stays as it was."""
    singly = {model: price for model, price in before.items() if model != "*"}
    if not form.input_price and not form.output_price:
        return singly
    asked, answered = (round((p or 0) * words.MICRO) for p in (form.input_price, form.output_price))
    old = before.get("*")
    cached = old.cached_input_micros if old and old.input_micros == asked else asked
    return {**singly, "*": Price(asked, cached, answered)}


def listing(plans: list[Plan]) -> Listing:
    """Draw the plans up as rows."""
    id_field = Field("id", "Short name", hint="team")
    currency = Field("currency", "Currency", value="USD")
    new = Form("A new plan", "/web/console/plans", (id_field, *_fields(None), currency), "Add")
    return Listing(
        "/plans",
        "Plans",
        "What a tenant may use, how fast, how much a month, and at what price.",
        ("Plan", "Tokens a month", "Requests a minute", "Tokens a minute", "Price of a million"),
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
    return "without limit" if n is None else words.count(n)


def _row(plan: Plan) -> Row:
    limits = (plan.monthly_tokens, plan.requests_per_minute, plan.tokens_per_minute)
    return Row(
        (
            Cell(plan.title or plan.id),
            *(Cell(limit(n), right=True) for n in limits),
            Cell(price_words(plan), right=True),
        )
    )


def _fields(plan: Plan | None) -> tuple[Field, ...]:
    def number(name: str, label: str, value: float | None, step: str = "1") -> Field:
        shown = "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
        return Field(name, label, "number", (), shown, "without limit", required=False, step=step)

    price = plan.prices.get("*") if plan else None
    asked, answered = (
        (price.input_micros / words.MICRO, price.output_micros / words.MICRO) if price else (0, 0)
    )
    month, requests, tokens = (
        (plan.monthly_tokens, plan.requests_per_minute, plan.tokens_per_minute)
        if plan
        else (None, None, None)
    )
    return (
        Field("title", "Title", value=plan.title if plan else ""),
        number("monthly_tokens", "Tokens a month", month),
        number("requests_per_minute", "Requests a minute", requests),
        number("tokens_per_minute", "Tokens a minute", tokens),
        number("input_price", "Price of a million tokens in", asked, "any"),
        number("output_price", "…and out", answered, "any"),
    )


def _change(plan: Plan) -> Form:
    url = f"/web/console/plans/{plan.id}"
    return Form(f"{plan.title or plan.id}", url, _fields(plan), "Keep", "PATCH")
