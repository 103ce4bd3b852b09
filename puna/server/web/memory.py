"""The memory's page: what is kept, what the model wishes to keep, and the switch."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from puna.server.web.reading import Form
from puna.server.web.visit import Visit


class Switch(Form):
    """On or off."""

    enabled: bool


class Remembered(Form):
    """One fact."""

    text: str


async def memory_page(visit: Visit) -> Response:
    """Show every fact."""
    memory = visit.house.assistant.memory
    facts = await visit.do(memory.list, visit.owner)
    enabled = await visit.do(memory.is_enabled, visit.owner)
    kept = [fact for fact in facts if fact.state == "kept"]
    proposed = [fact for fact in facts if fact.state == "proposed"]
    return await visit.page(
        "memory.html", here="memory", memories=kept, proposed=proposed, enabled=enabled
    )


async def enable(visit: Visit) -> Response:
    """Use the memory, or leave it alone."""
    switch = await visit.form(Switch)
    await visit.do(visit.house.assistant.memory.set_enabled, visit.owner, switch.enabled)
    return JSONResponse({})


async def remember(visit: Visit) -> Response:
    """Add what the person wrote."""
    wanted = await visit.form(Remembered)
    await visit.do(visit.house.assistant.memory.add, visit.owner, wanted.text)
    return JSONResponse({})


async def reword(visit: Visit) -> Response:
    """Write a fact anew."""
    wanted, fact = await visit.form(Remembered), visit.path("memory")
    await visit.do(visit.house.assistant.memory.change, visit.owner, fact, text=wanted.text)
    return JSONResponse({})


async def confirm(visit: Visit) -> Response:
    """Keep what the model proposed."""
    await visit.do(visit.house.assistant.memory.confirm, visit.owner, visit.path("memory"))
    return JSONResponse({})


async def forget(visit: Visit) -> Response:
    """Delete a fact for good; a proposal is refused in the same way."""
    await visit.do(visit.house.assistant.memory.delete, visit.owner, visit.path("memory"))
    return JSONResponse({})
