"""Signed messages: a time and an HMAC-SHA256 over time and body.

In: a body, a secret.  Out: a header, or a PaymentError.
Source of the scheme: Stripe's webhook signatures, `t=<seconds>,v1=<hex>`, several v1 allowed.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256

from puna.errors import PaymentError

TOLERANCE_S = 300


def sign(body: bytes, secret: str, now: datetime) -> str:
    """Return the header for a body that is sent now."""
    seconds = int(now.timestamp())
    return f"t={seconds},v1={_digest(body, secret, seconds)}"


def check(body: bytes, header: str, secret: str, now: datetime) -> None:
    """Raise PaymentError unless one of the signatures is right and no older than five minutes."""
    parts = [part.strip().partition("=") for part in header.split(",")[:32]]
    times = [value for name, _, value in parts if name == "t"]
    digests = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal() and len(times[0]) < 13):
        raise PaymentError("the payment message carries no time; it was not taken")
    wanted = _digest(body, secret, int(times[0])).encode()
    right = [hmac.compare_digest(wanted, digest.encode()) for digest in digests]
    if not any(right):
        raise PaymentError("the payment message's signature is wrong; check the webhook's secret")
    if abs(now.timestamp() - int(times[0])) > TOLERANCE_S:
        raise PaymentError("the payment message is too old or from the future; check the clock")


def _digest(body: bytes, secret: str, seconds: int) -> str:
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
