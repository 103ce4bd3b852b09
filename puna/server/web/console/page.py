"""A listing in, the console's page out."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from puna.server.web.console.listing import Listing
from puna.server.web.visit import Visit


async def listing_page(
    visit: Visit, listing: Listing, template: str = "console/listing.html", **more: Any
) -> Response:
    """Draw a table and its forms."""
    return await visit.page(template, here="console", tab=listing.tab, listing=listing, **more)
