"""Somebody begins to write: what stands before it is read, so that the answer begins sooner.

Where in which conversation it is, in; nothing out: the engine's cache holds the beginning of the
prompt when it is sent.
"""

from __future__ import annotations

from starlette.responses import Response

from puna.server.web.left import left_of
from puna.server.web.reading import Form
from puna.server.web.visit import Visit
from puna.services.assistant.beginning import read_ahead
from puna.services.assistant.model import Local
from puna.services.assistant.question import Question


class Place(Form):
    """Where something is being written: after `parent`, to be answered by `model`."""

    conversation: str | None = None
    parent: str | None = None
    model: str | None = None
    preset: str | None = None


async def begin(visit: Visit) -> Response:
    """Begin to read; nobody waits for it."""
    place = await visit.form(Place)
    visit.house.readings.begin(visit.visitor.user_id, lambda: _read(visit, place))
    return Response(status_code=204)


async def _read(visit: Visit, place: Place) -> None:
    """Read for who may ask this model, and has something left to ask it with."""
    house, caller = visit.house, visit.visitor.caller
    name = place.model or house.default_model
    caller.plan.check_model(name)
    if left_of(await visit.do(house.ledger.standing, caller)).share == 0:
        return
    question = Question(place.conversation, place.parent, preset_id=place.preset)
    async with house.desk.models.lease_async(name) as llm:
        await read_ahead(house.assistant, visit.owner, question, Local(llm, name))
