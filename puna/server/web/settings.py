"""The settings' page: looks, presets, files, keys, password, everything taken out or deleted."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from puna.accounts.users import LEAST_PASSWORD
from puna.server.web.keys_in_name import keys_in_name
from puna.server.web.look import Look, keep
from puna.server.web.presets import drafts
from puna.server.web.views import file_view
from puna.server.web.visit import Visit
from puna.server.web.visitor import is_secure


async def settings_page(visit: Visit) -> Response:
    """Show them all on one page."""
    assistant, owner = visit.house.assistant, visit.owner
    files = await visit.do(assistant.files.list, owner)
    return await visit.page(
        "settings.html",
        here="settings",
        drafts=await drafts(visit),
        files=[file_view(file) for file in files],
        keys=await visit.do(keys_in_name, visit),
        plain_http=not (visit.at_home or is_secure(visit.request)),
        password_length=LEAST_PASSWORD,
    )


async def set_look(visit: Visit) -> Response:
    """Keep theme and size in a cookie."""
    look = Look.model_validate(await visit.request.json())
    response = JSONResponse(look.model_dump())
    keep(look, response, secure=is_secure(visit.request))
    return response
