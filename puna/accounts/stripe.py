"""Stripe: two calls of its API, and its signed messages.

In: an amount.  Out: Stripe's page to pay at; what was paid.  Off unless an owner sets the keys.
Source: docs.stripe.com, Checkout Sessions and Webhooks.  Cards are never seen here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx2

from puna.accounts import signature
from puna.accounts.payments import Checkout, Paid
from puna.errors import InvalidParameterError, PaymentError

API = "https://api.stripe.com"
HEADER = "stripe-signature"
PAID_EVENTS = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
TIMEOUT_S = 20.0
# Currencies whose smallest unit is not a hundredth.
WHOLE = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
THOUSANDTHS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])


class Stripe:
    """Keeps the PaymentProvider protocol over Stripe's Checkout."""

    name = "stripe"

    def __init__(self, api_key: str, webhook_secret: str, *, api: str = API) -> None:
        self._webhook_secret = webhook_secret
        self._client = httpx2.Client(
            base_url=api, headers={"Authorization": f"Bearer {api_key}"}, timeout=TIMEOUT_S
        )

    def checkout(self, reference: str, amount_micros: int, currency: str, origin: str) -> Checkout:
        """Make a Checkout Session; sent again under one reference it stays one session."""
        price = "line_items[0][price_data]"
        form = {
            "mode": "payment",
            "client_reference_id": reference,
            "success_url": f"{origin}/pay/{{CHECKOUT_SESSION_ID}}",  # Stripe fills it in
            "cancel_url": f"{origin}/plan",
            "line_items[0][quantity]": "1",
            f"{price}[currency]": currency.lower(),
            f"{price}[unit_amount]": str(_smallest_units(amount_micros, currency)),
            f"{price}[product_data][name]": "Puna credits",
        }
        made = self._call("POST", "/v1/checkout/sessions", form, {"Idempotency-Key": reference})
        return Checkout(_text(made, "id"), _text(made, "url"))

    def event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Paid | None:
        """Read a webhook's message, believing nothing before its signature."""
        signature.check(body, headers.get(HEADER, ""), self._webhook_secret, now)
        try:
            message = json.loads(body)
            event_id, kind, session = message["id"], message["type"], message["data"]["object"]
        except (ValueError, KeyError, TypeError) as error:
            raise PaymentError("Stripe's message is not what it should be") from error
        return _paid(event_id, session) if kind in PAID_EVENTS else None

    def look_up(self, checkout_id: str) -> Paid | None:
        """Ask Stripe whether a checkout was paid, where its message was missed."""
        session = self._call("GET", f"/v1/checkout/sessions/{checkout_id}")
        return _paid(f"look-up:{checkout_id}", session)

    def witness(self, _paid: Paid, _now: datetime) -> None:
        """None: Stripe itself says what was paid."""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        try:
            answer = self._client.request(method, path, data=form, headers=headers)
            body = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise PaymentError(f"Stripe did not answer: {type(error).__name__}") from error
        if answer.status_code != 200:
            said = body.get("error", {}).get("message", "") if isinstance(body, dict) else ""
            raise PaymentError(f"Stripe refused with {answer.status_code}: {said}")
        return body


def _paid(event_id: str, session: Any) -> Paid | None:
    if not isinstance(session, dict) or session.get("payment_status") != "paid":
        return None
    currency, units = _text(session, "currency").upper(), session.get("amount_total")
    if not isinstance(units, int):
        raise PaymentError("Stripe's message names no amount")
    return Paid(event_id, _text(session, "id"), units * _unit_micros(currency), currency)


def _text(session: Any, name: str) -> str:
    value = session.get(name) if isinstance(session, dict) else None
    if not isinstance(value, str):
        raise PaymentError(f"Stripe's answer has no {name}")
    return value


def _unit_micros(currency: str) -> int:
    if currency in WHOLE:
        return 1_000_000
    return 1_000 if currency in THOUSANDTHS else 10_000


def _smallest_units(amount_micros: int, currency: str) -> int:
    units, rest = divmod(amount_micros, _unit_micros(currency))
    if rest:
        raise InvalidParameterError(f"the smallest unit of {currency} cannot be divided")
    return units
