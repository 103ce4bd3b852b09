"""Who asks: the tenant, by which key or person, with which rights.

In: nothing.  Out: plain data that goes with a request.  Knows no database.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.accounts.plans import Plan
from puna.errors import ForbiddenError, InvalidParameterError

SCOPES = frozenset({"chat", "embeddings", "usage", "admin"})
USUAL_SCOPES = frozenset({"chat", "embeddings", "usage"})


@dataclass(frozen=True)
class Caller:
    """Who asks; `meter_id` is what counts the rates: the tenant, or a key with its own plan."""

    tenant_id: str
    key_id: str | None
    user_id: str | None
    scopes: frozenset[str]
    plan: Plan
    meter_id: str

    def check_scope(self, scope: str) -> None:
        """Raise ForbiddenError unless the caller has the scope."""
        if scope not in self.scopes:
            raise ForbiddenError(f"this needs the scope {scope!r}, which the key does not have")


def check_scopes(scopes: frozenset[str]) -> None:
    """Raise InvalidParameterError for a scope that does not exist."""
    if unknown := sorted(scopes - SCOPES):
        known = ", ".join(sorted(SCOPES))
        raise InvalidParameterError(f"there is no scope {unknown[0]!r}; choose among {known}")
