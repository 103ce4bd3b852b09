"""What stands in the sidebar: the conversations by day, and what is left of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from puna.server.web import words
from puna.server.web.house import House
from puna.server.web.left import left_of
from puna.server.web.visitor import Visitor
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.owner import Owner

LISTED = 100


@dataclass(frozen=True)
class Day:
    """A heading, and what was talked about then."""

    label: str
    talks: list[Conversation]


def side_of(house: House, visitor: Visitor) -> dict[str, Any]:
    """The sidebar's values; waits for the database."""
    owner = Owner(visitor.tenant_id, visitor.user_id)
    latest = house.assistant.conversations.list(owner, limit=LISTED)
    left = left_of(house.ledger.standing(visitor.caller))
    more = len(latest) == LISTED
    return {"days": days(latest, datetime.now(UTC)), "more": more, "left": left}


def days(latest: list[Conversation], now: datetime) -> list[Day]:
    """Group what is sorted by time already."""
    groups = groupby(latest, key=lambda talk: words.age(talk.updated_at, now))
    return [Day(label, list(talks)) for label, talks in groups]
