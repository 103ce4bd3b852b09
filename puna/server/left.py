"""What a caller has left, as headers.

In: a standing of the ledger.  Out: OpenAI's x-ratelimit headers, and Puna's
own for the month and the balance.  Knows no request.
"""

from __future__ import annotations

from puna.accounts import Standing
from puna.accounts.rates import Allowance


def headers_of(standing: Standing) -> dict[str, str]:
    """Return the headers; a limit that does not exist has none, nor has the balance of who pays
    for nothing.
    """
    rates = standing.rates
    headers = {
        **_rate("requests", rates.requests),
        **_rate("tokens", rates.tokens),
        **_rate("monthly-tokens", rates.monthly_tokens),
        **_rate("concurrent-requests", rates.concurrent_requests),
    }
    if standing.prepaid:
        balance = standing.balance
        headers["x-puna-balance"] = f"{balance.available_micros / 1e6:.6f} {balance.currency}"
    return headers


def _rate(what: str, allowance: Allowance) -> dict[str, str]:
    if allowance.limit is None:
        return {}
    return {
        f"x-ratelimit-limit-{what}": str(allowance.limit),
        f"x-ratelimit-remaining-{what}": str(allowance.remaining),
        f"x-ratelimit-reset-{what}": duration(allowance.reset_s),
    }


def duration(seconds: float) -> str:
    """Write a time as OpenAI does, and Go before it: `120ms`, `1.5s`, `6m0s`, `24h0m0s`."""
    ms = round(seconds * 1e3)
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{ms / 1e3:g}s"
