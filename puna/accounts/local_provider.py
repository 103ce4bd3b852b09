"""Payments without a payment company: the owner confirms that the money has come.

In: an amount.  Out: a link on this machine; a signed message once it is paid.
Needs no network: for cash, bank transfers, and trying things out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from secrets import token_hex

from puna.accounts import signature
from puna.accounts.payments import Checkout, Paid
from puna.errors import PaymentError

HEADER = "puna-signature"


class LocalProvider:
    """Keeps the PaymentProvider protocol; `secret` signs the messages."""

    name = "local"

    def __init__(self, secret: str | None = None) -> None:
        self._secret = secret or token_hex(32)  # who signs is who reads, unless told otherwise

    def checkout(
        self, reference: str, _amount_micros: int, _currency: str, origin: str
    ) -> Checkout:
        """Return the page that says what is to be paid, and to whom."""
        return Checkout(reference, f"{origin}/pay/{reference}")

    def witness(self, paid: Paid, now: datetime) -> tuple[bytes, dict[str, str]]:
        """Return the message that the checkout was paid: its body and headers."""
        body = json.dumps(vars(paid), sort_keys=True).encode()
        return body, {HEADER: signature.sign(body, self._secret, now)}

    def event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Paid | None:
        """Read a message of `witness`."""
        signature.check(body, headers.get(HEADER, ""), self._secret, now)
        try:
            return Paid(**json.loads(body))
        except (ValueError, TypeError) as error:
            raise PaymentError("the payment message is not what it should be") from error

    def look_up(self, _checkout_id: str) -> Paid | None:
        """None: only the owner's message says that the money has come."""
        return None
