"""Conversations as the page's script asks for them: found, renamed, branched, deleted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from puna.errors import NotFoundError
from puna.server.web import words
from puna.server.web.reading import Form
from puna.server.web.views import View, conversation_view, hit_view, mentioned, path_view
from puna.server.web.visit import Visit
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.entry import Entry

LISTED = 100


class Change(Form):
    """What is given gets a new value."""

    title: str | None = None
    model: str | None = None
    preset: str | None = None


class Branch(Form):
    """The message whose branch is to be seen."""

    message: str


async def search(visit: Visit) -> Response:
    """Find words in messages and titles; nothing typed: the latest, or those `after` another."""
    given = visit.request.query_params
    if query := given.get("q", "").strip():
        hits = await visit.do(visit.house.assistant.finding.find, visit.owner, query)
        return JSONResponse({"conversations": [hit_view(hit) for hit in hits], "more": False})
    listed = await visit.do(_listed, visit, given.get("after"))
    return JSONResponse({"conversations": listed, "more": len(listed) == LISTED})


async def change(visit: Visit) -> Response:
    """Rename it, or go on with another model or preset."""
    wanted = await visit.form(Change)
    found = await visit.do(changed, visit, visit.path("conversation"), wanted)
    return JSONResponse(conversation_view(found))


async def branch(visit: Visit) -> Response:
    """Show another version of a message, and what followed it."""
    wanted = await visit.form(Branch)
    path = await visit.do(_branched, visit, visit.path("conversation"), wanted.message)
    return JSONResponse({"path": path})


async def delete(visit: Visit) -> Response:
    """Delete one for good."""
    conversations = visit.house.assistant.conversations
    await visit.do(conversations.delete, visit.owner, visit.path("conversation"))
    return Response(status_code=204)


async def delete_all(visit: Visit) -> Response:
    """Delete every one for good."""
    await visit.do(visit.house.assistant.conversations.delete_all, visit.owner)
    return JSONResponse({})


def path_of(visit: Visit, conversation_id: str) -> list[View]:
    """The branch on screen, with the names of its files."""
    return views_of(
        visit, visit.house.assistant.messages.path(visit.owner, conversation_id).entries
    )


def views_of(visit: Visit, entries: Sequence[Entry]) -> list[View]:
    """Consecutive messages, with the names of their files."""
    return path_view(entries, _names(visit, mentioned(entries)))


def changed(visit: Visit, conversation_id: str, wanted: Change) -> Conversation:
    """Give a conversation what is wanted of it."""
    conversations, given = visit.house.assistant.conversations, wanted.model_fields_set
    found = conversations.get(visit.owner, conversation_id)
    if wanted.title is not None:
        found = conversations.rename(visit.owner, found.id, wanted.title)
    if given & {"model", "preset"}:
        model = wanted.model if wanted.model is not None else found.model
        preset = wanted.preset if "preset" in given else found.preset_id
        if wanted.preset is not None:  # there, and the person's own
            visit.house.assistant.presets.get(visit.owner, wanted.preset)
        found = conversations.choose(visit.owner, found.id, model=model, preset_id=preset)
    return found


def _names(visit: Visit, file_ids: Collection[str]) -> dict[str, str]:
    """The names of those files that are still there."""
    names = {}
    for file_id in file_ids:
        with suppress(NotFoundError):
            names[file_id] = visit.house.assistant.files.get(visit.owner, file_id).name
    return names


def _listed(visit: Visit, after: str | None) -> list[View]:
    conversations, now = visit.house.assistant.conversations, datetime.now(UTC)
    last = conversations.get(visit.owner, after) if after else None
    found = conversations.list(visit.owner, after=last, limit=LISTED)
    return [{**conversation_view(c), "day": words.age(c.updated_at, now)} for c in found]


def _branched(visit: Visit, conversation_id: str, message_id: str) -> list[View]:
    visit.house.assistant.messages.choose_branch(visit.owner, conversation_id, message_id)
    return path_of(visit, conversation_id)
