"""Where the payment provider's signed messages arrive.

In: a message, which needs no key, for its signature says whose it is.  Out: credits, once.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from puna.accounts import Payments
from puna.errors import NotFoundError
from puna.server.failures import RESPONSES

router = APIRouter(
    prefix="/webhooks",
    tags=["payments"],
    responses={status: RESPONSES[status] for status in (400, 404, 413, 421, 500, 503)},
)


class Receipt(BaseModel):
    """The message was genuine and is dealt with; sent again, it counts no second time."""

    received: Literal[True] = True


@router.post("/payments")
async def receive_payment(request: Request) -> Receipt:
    """Take a signed message, as Stripe sends it, that something was paid.

    404 while payments are off.
    """
    payments: Payments = request.app.state.services.payments
    if payments.provider is None:
        raise NotFoundError("payments are off on this server")
    body = await request.body()
    await asyncio.to_thread(payments.receive, body, request.headers)
    return Receipt()
