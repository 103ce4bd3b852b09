"""The page of tenants: who pays, on which plan, with how much credit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.responses import JSONResponse, Response

from puna.accounts.plans import Plan
from puna.accounts.tenants import Tenant
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Field, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.reading import Form as Body
from puna.server.web.refused import RefusedError
from puna.server.web.visit import Visit


class NewTenant(Body):
    """A name and a plan."""

    name: str
    plan: str


class TenantChange(Body):
    """Another plan, or a door closed or opened."""

    plan: str | None = None
    state: Literal["on", "off"] | None = None


async def tenants_page(visit: Visit) -> Response:
    """List them, with a form for a new one and one to move one."""
    tenants = await visit.do(visit.house.tenants.list)
    plans = await visit.do(visit.house.plans.list)
    return await listing_page(visit, listing(tenants, plans, visit.visitor.tenant_id))


async def create_tenant(visit: Visit) -> Response:
    """Add one."""
    new = await visit.form(NewTenant)
    await visit.do(visit.house.tenants.create, new.name, new.plan, actor=visit.actor)
    return JSONResponse({})


async def change_tenant(visit: Visit) -> Response:
    """Move it to a plan, refuse it, or take it back."""
    change, tenant = await visit.form(TenantChange), visit.path("tenant")
    if change.plan is not None:
        await visit.do(visit.house.tenants.set_plan, tenant, change.plan, actor=visit.actor)
    if change.state is not None:
        off = change.state == "off"
        if off and (await visit.do(visit.house.tenants.get, tenant)).id == visit.visitor.tenant_id:
            raise RefusedError(409, "You would lock yourself out: you belong to it.")
        await visit.do(visit.house.tenants.set_disabled, tenant, off, actor=visit.actor)
    return JSONResponse({})


def listing(tenants: list[Tenant], plans: list[Plan], own: str) -> Listing:
    """Draw the tenants up as rows; one's `own` is never closed."""
    titles = {plan.id: plan.title or plan.id for plan in plans}
    return Listing(
        "/tenants",
        "Tenants",
        "Who pays, and whose data stays apart from everyone else's.",
        ("Name", "Plan", "Since", "State"),
        [_row(tenant, titles, own) for tenant in tenants],
        [_new(plans), *(_move(tenant, plans) for tenant in tenants)],
    )


def _row(tenant: Tenant, titles: Mapping[str, str], own: str) -> Row:
    on = tenant.disabled_at is None
    state = Cell("open", tag="on") if on else Cell("closed", tag="bad")
    action = Action(
        "Close" if on else "Open",
        f"/web/console/tenants/{tenant.id}",
        "PATCH",
        "Refuse its keys and people from now on?" if on else "",
        {"state": "off" if on else "on"},
    )
    plan = titles.get(tenant.plan_id, tenant.plan_id)
    cells = (Cell(tenant.name), Cell(plan), Cell(words.day(tenant.created_at)), state)
    return Row(cells, () if tenant.id == own else (action,))


def _plan_field(plans: list[Plan], chosen: str = "free") -> Field:
    options = [(plan.id, plan.title or plan.id) for plan in plans]
    return Field("plan", "Plan", "select", options, chosen)


def _new(plans: list[Plan]) -> Form:
    fields = (Field("name", "Name"), _plan_field(plans))
    return Form("A new tenant", "/web/console/tenants", fields, "Add")


def _move(tenant: Tenant, plans: list[Plan]) -> Form:
    fields = (_plan_field(plans, tenant.plan_id),)
    url = f"/web/console/tenants/{tenant.id}"
    return Form(f"The plan of {tenant.name}", url, fields, "Move", "PATCH")
