"""The page of backups: copies of the database, made, fetched, thrown away; not put back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.responses import FileResponse, JSONResponse, Response

from puna.accounts.backups import Kept
from puna.server.web import words
from puna.server.web.console.listing import Action, Cell, Form, Listing, Row
from puna.server.web.console.page import listing_page
from puna.server.web.visit import Visit


async def backups_page(visit: Visit) -> Response:
    """List the copies, the latest first."""
    backups = visit.house.backups
    kept = await visit.do(backups.list)
    return await listing_page(visit, listing(kept, backups.folder, datetime.now(UTC)))


async def make_backup(visit: Visit) -> Response:
    """Copy everything now; returns when the copy is whole."""
    made = await visit.do(visit.house.backups.make, actor=visit.actor)
    return JSONResponse({"name": made.name}, 201)


async def fetch_backup(visit: Visit) -> Response:
    """Give a copy as a file."""
    name = visit.path("backup")
    path = await visit.do(visit.house.backups.open, name, actor=visit.actor)
    return FileResponse(path, filename=name, media_type="application/gzip")


async def delete_backup(visit: Visit) -> Response:
    """Throw a copy away."""
    await visit.do(visit.house.backups.delete, visit.path("backup"), actor=visit.actor)
    return JSONResponse({})


def listing(kept: Sequence[Kept], folder: Path, now: datetime) -> Listing:
    """Draw the copies up as rows."""
    return Listing(
        "/backups",
        "Backups",
        f"{_last(kept, now)} A copy holds all that is in the database: people, keys as hashes, "
        "money, and everyone's conversations and files. Keep it as you would keep those. To put "
        f"one back, stop Puna and run puna restore FILE; the copies lie in {folder}.",
        ("Made (UTC)", "Size"),
        [_row(one) for one in kept],
        [Form("A new copy", "/web/console/backups", (), "Make a copy now")],
        "No copy yet.",
    )


def _last(kept: Sequence[Kept], now: datetime) -> str:
    if not kept:
        return "No copy was made here yet."
    days = (now - kept[0].made_at) // timedelta(days=1)
    ago = "today" if days == 0 else "a day ago" if days == 1 else f"{days} days ago"
    return f"The last copy was made {ago}."


def _row(one: Kept) -> Row:
    url = f"/web/console/backups/{one.name}"
    return Row(
        (Cell(words.moment(one.made_at)), Cell(words.size(one.n_bytes), right=True)),
        (Action("Download", url, "GET"), Action("Delete", url, "DELETE", "Delete this copy?")),
    )
