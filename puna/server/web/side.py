"""What stands in the sidebar: the conversations by day, and what is left of the plan."""

from __future__ import annotations

from puna.server.web.house import House
from puna.server.web.left import left_of
from puna.server.web.visitor import Visitor


def side_of(house: House, visitor: Visitor) -> dict[str, object]:
    """The sidebar's values; waits for the database."""
    left = left_of(house.ledger.standing(visitor.caller))
    return {"days": [], "left": left}
