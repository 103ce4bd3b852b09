"""Files that a person attaches to what they say: read at once, listed, deleted."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.assistant.shapes import File, Files
from puna.server.web.upload import uploaded
from puna.server.web.views import file_view

router = APIRouter(
    prefix="/api/v1/files",
    tags=["assistant"],
    responses={**failures.RESPONSES, **failures.NO_ROOM},
)

BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": BYTES}}


@router.post("", status_code=201, openapi_extra=BODY)
async def add_file(
    visit: Person, request: Request, x_file_name: Annotated[str, Header(max_length=2000)]
) -> File:
    """Read a file and keep it; the body is its bytes, X-File-Name its name, percent-encoded."""
    kept = await uploaded(visit.house, visit.owner, unquote(x_file_name), request)
    return File.model_validate(file_view(kept))


@router.get("")
async def list_files(visit: Person) -> Files:
    """List the person's files."""
    kept = await visit.do(visit.house.assistant.files.list, visit.owner)
    return Files(files=[File.model_validate(file_view(file)) for file in kept])


@router.delete("/{file}", status_code=204)
async def delete_file(visit: Person, file: Annotated[str, Path(max_length=64)]) -> Response:
    """Delete a file with all that was read from it, for good."""
    await visit.do(visit.house.assistant.files.delete, visit.owner, file)
    return Response(status_code=204)
