"""A part of a list, as OpenAI's lists are read: so many, in an order, after one of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from puna.errors import NotFoundError
from puna.server.responses.items import Object


class Page(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None

    def of(self, items: list[Object]) -> dict[str, Any]:
        """Return the part as OpenAI's list; NotFoundError for an unknown `after`."""
        ordered = items if self.order == "asc" else items[::-1]
        ids = [item["id"] for item in ordered]
        if self.after is not None and self.after not in ids:
            raise NotFoundError("after: there is no such item")
        start = 0 if self.after is None else ids.index(self.after) + 1
        stop = start + self.limit
        return {
            "object": "list",
            "data": ordered[start:stop],
            "first_id": ids[start] if ids[start:stop] else None,
            "last_id": ids[start:stop][-1] if ids[start:stop] else None,
            "has_more": stop < len(ids),
        }
