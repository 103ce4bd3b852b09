"""All that a person keeps, taken out as one archive and brought back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.web.exports import ZIP, brought, download

router = APIRouter(
    prefix="/api/v1",
    tags=["assistant"],
    responses={**failures.RESPONSES, **failures.NO_ROOM},
)

BYTES = {"schema": {"type": "string", "format": "binary"}}
JSON = {"schema": {"type": "object"}}
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {ZIP: BYTES, "application/json": JSON}}
}
ARCHIVE: dict[int | str, dict[str, Any]] = {200: {"content": {ZIP: BYTES}}}


class Brought(BaseModel):
    """What came in; `missing` files are mentioned, but not in the archive."""

    conversations: int
    files: int
    missing: int


@router.get("/export.zip", response_class=Response, responses=ARCHIVE)
async def export_everything(visit: Person) -> Response:
    """Give every conversation and every file as one archive, which `POST /api/v1/import` takes."""
    return download(visit.house.assistant.bundles.pack(visit.owner), "puna.zip", ZIP)


@router.post("/import", status_code=201, openapi_extra=BODY)
async def import_everything(visit: Person) -> Brought:
    """Bring back an archive, or JSON of one conversation or several: all of it, or nothing."""
    return Brought.model_validate(await brought(visit), from_attributes=True)
