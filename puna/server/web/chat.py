"""The assistant's page: empty, or with a conversation in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from puna.errors import NotFoundError
from puna.server.web import words
from puna.server.web.catalogue import Choice, choices
from puna.server.web.conversations import path_of
from puna.server.web.visit import Visit
from puna.services.assistant.commands import HELP
from puna.services.assistant.presets import DEFAULT, Preset

STARTS = (
    ("Explain something", "Explain to me, step by step, "),
    ("Write a letter", "Write a short, friendly letter to "),
    ("Plan a week", "Plan a week of "),
    ("Calculate", "/calc 12 * 7"),
    ("Search your files", "/search "),
)
NO_MODEL = Choice("No model", "", "Fetch one in the console.")


@dataclass(frozen=True)
class Talk:
    """What the template draws; `state` goes to the script."""

    title: str
    model: Choice
    preset: Preset
    state: dict[str, Any]


async def new_page(visit: Visit) -> Response:
    """An empty chat."""
    return await _page(visit, None)


async def conversation_page(visit: Visit) -> Response:
    """A conversation, at the branch that was seen last."""
    return await _page(visit, visit.path("conversation"))


async def _page(visit: Visit, conversation_id: str | None) -> Response:
    models = choices(await visit.do(visit.house.known_models), visit.house.paces)
    presets = await visit.do(visit.house.assistant.presets.list, visit.owner)
    talk = await visit.do(_talk, visit, conversation_id, models, presets)
    return await visit.page(
        "chat.html",
        here=conversation_id or "new",
        talk=talk,
        models=models,
        presets=presets,
        greeting=words.greeting(visit.visitor.name, datetime.now().astimezone().hour),
        starts=STARTS,
        commands=HELP,
        most_file_bytes=visit.house.assistant.files.limits.reading.file_bytes,
    )


def _talk(
    visit: Visit, conversation_id: str | None, models: list[Choice], presets: list[Preset]
) -> Talk:
    if conversation_id is None:
        model = _chosen(models, _latest_model(visit))
        state: dict[str, Any] = {
            "id": None,
            "path": [],
            "running": None,
            "model": model.name,
            "preset": None,
        }
        return Talk("", model, presets[0], state)
    conversation = visit.house.assistant.conversations.get(visit.owner, conversation_id)
    model = _chosen(models, conversation.model or visit.house.default_model)
    turn = visit.house.turns.running(visit.visitor.user_id, conversation_id)
    path = path_of(visit, conversation_id)
    if turn is not None and path and path[-1]["role"] == "assistant":
        path = path[:-1]  # what is being answered is told by the turn itself, from its beginning
    preset = _preset(visit, conversation.preset_id)
    state = {
        "id": conversation.id,
        "path": path,
        "running": {"id": turn.id} if turn else None,
        "model": model.name,
        "preset": None if preset.id == DEFAULT else preset.id,
    }
    return Talk(conversation.title, model, preset, state)


def _latest_model(visit: Visit) -> str:
    """Whom the person talked with last; at first the server's own choice."""
    latest = visit.house.assistant.conversations.list(visit.owner, limit=1)
    return (latest[0].model if latest else "") or visit.house.default_model


def _chosen(models: list[Choice], name: str) -> Choice:
    named = (model for model in models if model.name == name)
    return next(named, models[0] if models else NO_MODEL)


def _preset(visit: Visit, preset_id: str | None) -> Preset:
    presets = visit.house.assistant.presets
    try:
        return presets.get(visit.owner, preset_id or DEFAULT)
    except NotFoundError:
        return presets.get(visit.owner, DEFAULT)
