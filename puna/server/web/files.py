"""Files that a person attaches: read at once, given back as they came, deleted."""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.responses import JSONResponse, Response

from puna.server.web.upload import uploaded
from puna.server.web.views import file_view
from puna.server.web.visit import Visit


async def upload(visit: Visit) -> Response:
    """Take one file: its bytes are the body, its name a header."""
    name = unquote(visit.request.headers.get("x-file-name", ""))[:500]
    file = await uploaded(visit.house, visit.owner, name, visit.request)
    return JSONResponse(file_view(file), 201)


async def original(visit: Visit) -> Response:
    """Give a file back, to be kept and never to be shown by the browser."""
    files, file_id = visit.house.assistant.files, visit.path("file")
    file = await visit.do(files.get, visit.owner, file_id)
    data = await visit.do(files.content, visit.owner, file_id)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
    return Response(data, headers=headers, media_type="application/octet-stream")


async def delete(visit: Visit) -> Response:
    """Delete a file with all that was read from it, for good."""
    await visit.do(visit.house.assistant.files.delete, visit.owner, visit.path("file"))
    return JSONResponse({})
