"""`puna plans`: which models, how fast, how much, at what price."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import ACTOR, open_store, show_facts, show_rows

if TYPE_CHECKING:
    from puna.accounts import Plan, Price

Id = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's short name.")]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="How it is offered.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="NAME", help="A model of the plan; several times."),
]
Rpm = Annotated[
    int | None, typer.Option("--rpm", min=0, metavar="N", help="Requests a minute; 0: no limit.")
]
Tpm = Annotated[
    int | None, typer.Option("--tpm", min=0, metavar="N", help="Tokens a minute; 0: no limit.")
]
Concurrent = Annotated[
    int | None, typer.Option("--concurrent", min=0, metavar="N", help="At once; 0: no limit.")
]
Monthly = Annotated[
    int | None,
    typer.Option("--monthly-tokens", min=0, metavar="N", help="Tokens a month; 0: no limit."),
]
Priority = Annotated[
    int | None,
    typer.Option("--priority", min=-100, max=100, metavar="N", help="The higher waits less."),
]
Offered = Annotated[
    bool | None,
    typer.Option(
        "--offered/--given",
        help="Whether tenants may choose it themselves, or you give it.",
        show_default="given",
    ),
]
Prices = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="MODEL=IN,CACHED,OUT",
        help="For a million tokens, as '*=0.20,0.05,0.60'; several times.",
    ),
]

plans = typer.Typer(help="List, add and change plans.", invoke_without_command=True)


@plans.callback(invoke_without_command=True)
def list_plans(context: typer.Context, as_json: options.Json = False) -> None:
    """List the plans; add and change them with the commands below."""
    if context.invoked_subcommand is not None:
        return
    from puna.accounts import Plans

    with open_store(context) as store:
        rows = [_facts(plan) if as_json else _row(plan) for plan in Plans(store).list()]
    show_rows(rows, as_json, none="no plans")


@plans.command(epilog="Example: puna plans create pro --rpm 600 --price '*=0.20,0.05,0.60'")
def create(
    context: typer.Context,
    *,
    plan_id: Id,
    title: Title = None,
    model: Models = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrent: Concurrent = None,
    monthly_tokens: Monthly = None,
    priority: Priority = None,
    offered: Offered = None,
    price: Prices = None,
    currency: Annotated[
        str, typer.Option("--currency", metavar="CODE", help="Three letters.")
    ] = "USD",
    as_json: options.Json = False,
) -> None:
    """Add a plan; what is not limited here has no limit, what has no price is free."""
    from puna.accounts import Plan, Plans

    terms = _terms(
        title=title,
        models=model,
        rpm=rpm,
        tpm=tpm,
        concurrent=concurrent,
        monthly_tokens=monthly_tokens,
        priority=priority,
        offered=offered,
        prices=price,
    )
    with open_store(context) as store:
        plan = Plans(store).create(Plan(plan_id, currency=currency, **terms), actor=ACTOR)
    show_facts(_facts(plan) if as_json else _row(plan), as_json)


@plans.command(epilog="Example: puna plans change free --rpm 60")
def change(
    context: typer.Context,
    *,
    plan_id: Id,
    title: Title = None,
    model: Models = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrent: Concurrent = None,
    monthly_tokens: Monthly = None,
    priority: Priority = None,
    offered: Offered = None,
    price: Prices = None,
    as_json: options.Json = False,
) -> None:
    """Change a plan's terms, from its tenants' next requests on; the rest stays."""
    from puna.accounts import Plans

    terms = _terms(
        title=title,
        models=model,
        rpm=rpm,
        tpm=tpm,
        concurrent=concurrent,
        monthly_tokens=monthly_tokens,
        priority=priority,
        offered=offered,
        prices=price,
    )
    with open_store(context) as store:
        plan = Plans(store).change(plan_id, actor=ACTOR, **terms)
    show_facts(_facts(plan) if as_json else _row(plan), as_json)


def _terms(
    *,
    title: str | None,
    models: list[str] | None,
    rpm: int | None,
    tpm: int | None,
    concurrent: int | None,
    monthly_tokens: int | None,
    priority: int | None,
    offered: bool | None,
    prices: list[str] | None,
) -> dict[str, Any]:
    """Return the terms that were given; 0 stands for no limit."""
    limits = {
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        "concurrent_requests": concurrent,
        "monthly_tokens": monthly_tokens,
    }
    given: dict[str, Any] = {name: n or None for name, n in limits.items() if n is not None}
    if title is not None:
        given["title"] = title
    if models:
        given["models"] = tuple(models)
    if priority is not None:
        given["priority"] = priority
    if offered is not None:
        given["offered"] = offered
    if prices:
        given["prices"] = dict(map(_price, prices))
    return given


def _price(text: str) -> tuple[str, Price]:
    from puna.accounts import Price
    from puna.accounts.money import parse_amount

    model, equals, amounts = text.rpartition("=")
    parts = amounts.split(",")
    if not (model and equals and len(parts) == 3):
        raise typer.BadParameter("write it as MODEL=IN,CACHED,OUT", param_hint="--price")
    return model, Price(*map(parse_amount, parts))


def _facts(plan: Plan) -> dict[str, Any]:
    prices = {model: vars(price) for model, price in plan.prices.items()}
    return vars(plan) | {"models": list(plan.models), "prices": prices}


def _row(plan: Plan) -> dict[str, Any]:
    """As people read it; prices for a million tokens: input / cached input / output."""
    return {
        "plan": plan.id,
        "models": "all" if plan.models == ("*",) else plan.models,
        "req/min": plan.requests_per_minute,
        "tok/min": plan.tokens_per_minute,
        "at once": plan.concurrent_requests,
        "tok/month": plan.monthly_tokens,
        "offered": "yes" if plan.offered else "no",
        "price": [*map(_shown_price, plan.prices.items(), repeat(plan.currency))] or "free",
    }


def _shown_price(item: tuple[str, Price], currency: str) -> str:
    from puna.accounts.money import amount

    model, price = item
    amounts = " / ".join(amount(micros) for micros in vars(price).values())
    return f"{'' if model == '*' else f'{model}: '}{amounts} {currency}"
