"""GET /v1/usage: what the caller's tenant asked and was charged, for its own bookkeeping."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from puna.accounts.usage import UsageReport, Used
from puna.server import failures
from puna.server.auth import UsageCaller
from puna.server.reference import SpendingList, answers

Group = Literal["day", "key", "model"]
EVERY: tuple[Group, ...] = ("day", "key", "model")

router = APIRouter(tags=["usage"], responses=failures.RESPONSES)


@router.get("/v1/usage", response_model=None, responses=answers(SpendingList))
async def show_usage(
    request: Request,
    caller: UsageCaller,
    since: date | None = None,
    until: date | None = None,
    by: Annotated[list[Group] | None, Query(max_length=len(EVERY))] = None,
) -> dict[str, Any]:
    """Sum up requests, tokens and costs by day, key and model, or by some (`by=day&by=key`).

    `since` and `until` are days in UTC, both included.  Needs a key with the scope "usage".
    """
    report = UsageReport(request.app.state.services.store)
    groups = [group for group in EVERY if group in (by or EVERY)]
    ask = partial(report.rows, by=groups, tenant_id=caller.tenant_id, since=since, until=until)
    rows = await asyncio.to_thread(ask)
    return {"object": "list", "data": [_shown(row, groups) for row in rows]}


def _shown(row: Used, groups: list[Group]) -> dict[str, Any]:
    """A row with the columns that were asked for; whose it is, the key says."""
    facts = {name: value for name, value in asdict(row).items() if name != "tenant"}
    return {name: value for name, value in facts.items() if name not in EVERY or name in groups}
