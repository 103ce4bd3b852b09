"""A person's own presets: as a form shows them, and what its buttons do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from puna.server.web.reading import Form
from puna.server.web.visit import Visit
from puna.services.assistant.presets import Preset

NEW = Preset("", "", own=True)


class PresetForm(Form):
    """A preset as the page writes it; `tools` counts unless every tool may be used."""

    name: str
    instructions: str
    temperature: float | None = None
    model: str = ""
    every_tool: bool = True
    tools: tuple[str, ...] = ()

    def fields(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The preset's fields; of its parameters the form knows only the temperature."""
        others = {name: value for name, value in parameters.items() if name != "temperature"}
        said = {} if self.temperature is None else {"temperature": self.temperature}
        return {
            "instructions": self.instructions,
            "model": self.model,
            "parameters": others | said,
            "tools": None if self.every_tool else self.tools,
        }


@dataclass(frozen=True)
class Tick:
    """Something that a form offers, and whether it is chosen."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class Draft:
    """A preset with all that its form offers."""

    preset: Preset
    models: Sequence[Tick]
    tools: Sequence[Tick]


async def drafts(visit: Visit) -> list[Draft]:
    """The forms of all presets of the person's own, and at the end an empty one."""
    presets = await visit.do(visit.house.assistant.presets.list, visit.owner)
    models = [known.name for known in await visit.do(visit.house.known_models)]
    chosen = await visit.house.assistant.toolbox.chosen(None)
    tools = {one.name: chosen.label(one.name) for one in chosen.definitions}
    own = [preset for preset in presets if preset.own]
    return [_draft(preset, models, tools) for preset in (*own, NEW)]


async def create_preset(visit: Visit) -> Response:
    """Keep a new preset."""
    form, presets = await visit.form(PresetForm), visit.house.assistant.presets
    await visit.do(presets.create, visit.owner, form.name, **form.fields({}))
    return JSONResponse({})


async def change_preset(visit: Visit) -> Response:
    """Write one's own preset anew."""
    form, presets = await visit.form(PresetForm), visit.house.assistant.presets
    preset_id = visit.path("preset")
    before = await visit.do(presets.get, visit.owner, preset_id)
    fields = form.fields(before.parameters)
    await visit.do(presets.change, visit.owner, preset_id, name=form.name, **fields)
    return JSONResponse({})


async def delete_preset(visit: Visit) -> Response:
    """Delete one's own preset."""
    await visit.do(visit.house.assistant.presets.delete, visit.owner, visit.path("preset"))
    return JSONResponse({})


def _draft(preset: Preset, models: Iterable[str], tools: Mapping[str, str]) -> Draft:
    """What a preset names stays on offer, though it may not be there now."""
    named = preset.tools or ()
    every = {**tools, **{name: f"{name} (not there now)" for name in named if name not in tools}}
    known = [*models, *([preset.model] if preset.model not in ("", *models) else [])]
    return Draft(
        preset,
        [Tick(name, name, name == preset.model) for name in known],
        [Tick(name, label, name in named) for name, label in every.items()],
    )
