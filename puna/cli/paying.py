"""Who takes money on this machine, from the settings to the provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from puna.config import Settings

if TYPE_CHECKING:
    from puna.accounts import PaymentProvider


@contextmanager
def paying(settings: Settings) -> Iterator[PaymentProvider | None]:
    """Have the provider that the owner chose, if any, until the end."""
    if settings.payments == "off":
        yield None
    elif settings.payments == "local":
        from puna.accounts.local_provider import LocalProvider

        yield LocalProvider()
    else:
        from puna.accounts.stripe import Stripe

        stripe = Stripe(settings.stripe_key or "", settings.stripe_webhook_secret or "")
        try:
            yield stripe
        finally:
            stripe.close()
