"""The settings' page: looks, presets, files, keys, password, everything taken out or deleted."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from puna.accounts.users import LEAST_PASSWORD
from puna.server.web.keys_in_name import keys_in_name
from puna.server.web.look import Look, keep
from puna.server.web.reading import Form
from puna.server.web.views import file_view
from puna.server.web.visit import Visit
from puna.server.web.visitor import is_secure


class PresetForm(Form):
    """A preset as the page writes it."""

    name: str
    instructions: str
    temperature: float | None = None

    def parameters(self) -> dict[str, Any]:
        """What is said about sampling."""
        return {} if self.temperature is None else {"temperature": self.temperature}


async def settings_page(visit: Visit) -> Response:
    """Show them all on one page."""
    assistant, owner = visit.house.assistant, visit.owner
    presets = await visit.do(assistant.presets.list, owner)
    files = await visit.do(assistant.files.list, owner)
    return await visit.page(
        "settings.html",
        here="settings",
        presets=[preset for preset in presets if preset.own],
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


async def create_preset(visit: Visit) -> Response:
    """Keep a new preset."""
    form, presets = await visit.form(PresetForm), visit.house.assistant.presets
    parameters = form.parameters()
    await visit.do(presets.create, visit.owner, form.name, form.instructions, parameters=parameters)
    return JSONResponse({})


async def change_preset(visit: Visit) -> Response:
    """Write one's own preset anew."""
    form, presets = await visit.form(PresetForm), visit.house.assistant.presets
    changes = {"name": form.name, "instructions": form.instructions}
    parameters = form.parameters()
    await visit.do(
        presets.change, visit.owner, visit.path("preset"), parameters=parameters, **changes
    )
    return JSONResponse({})


async def delete_preset(visit: Visit) -> Response:
    """Delete one's own preset."""
    await visit.do(visit.house.assistant.presets.delete, visit.owner, visit.path("preset"))
    return JSONResponse({})
