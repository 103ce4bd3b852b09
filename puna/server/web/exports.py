"""Conversations taken out as files and brought back: to read, to keep, with their files.

A visit in, a download or a count of what came back out.  The formats live in `services/assistant`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import quote

from starlette.responses import JSONResponse, Response, StreamingResponse

from puna.server.web import words
from puna.server.web.refused import not_found
from puna.server.web.visit import Visit
from puna.services.assistant.archive import markdown
from puna.services.assistant.bundle import Brought

ZIP = "application/zip"
TYPES = {"md": "text/markdown; charset=utf-8", "json": "application/json", "zip": ZIP}


async def export(visit: Visit) -> Response:
    """Give one as a file: the branch on screen to read, the tree to keep, or that with files."""
    kind, conversation = visit.path("format"), visit.path("conversation")
    if kind not in TYPES:
        raise not_found("format")
    found = await visit.do(visit.house.assistant.conversations.get, visit.owner, conversation)
    content = await exported(visit, conversation, kind)
    return download(content, f"{words.file_stem(found.title)}.{kind}", TYPES[kind])


async def export_all(visit: Visit) -> Response:
    """Give every conversation as one JSON file."""
    everything = await visit.do(visit.house.assistant.archive.every_json, visit.owner)
    return download(_json(everything), "puna.json", TYPES["json"])


async def export_bundle(visit: Visit) -> Response:
    """Give every conversation and every file as one archive."""
    return download(visit.house.assistant.bundles.pack(visit.owner), "puna.zip", ZIP)


async def bring(visit: Visit) -> Response:
    """Take back what was exported, all of it or nothing."""
    return JSONResponse(asdict(await brought(visit)), 201)


async def brought(visit: Visit) -> Brought:
    """Keep what the body holds: an archive or JSON, of one conversation or many."""
    house, bundles = visit.house, visit.house.assistant.bundles
    most = bundles.most_bytes
    async with (
        house.spool.received(visit.request, visit.owner.user_id, most) as file,
        house.bringing,
    ):
        return await visit.do(bundles.bring, visit.owner, file)


async def exported(visit: Visit, conversation_id: str, kind: str) -> str | Iterator[bytes]:
    """What a file holds: "md" to read, "json" to keep, "zip" with the files."""
    if kind == "zip":
        return visit.house.assistant.bundles.pack(visit.owner, conversation_id)
    return await visit.do(_text, visit, conversation_id, kind)


def download(content: str | Iterator[bytes], name: str, media_type: str) -> Response:
    """A file that the browser keeps and never shows."""
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    if isinstance(content, str):
        return Response(content, headers=headers, media_type=media_type)
    return StreamingResponse(content, headers=headers, media_type=media_type)


def _text(visit: Visit, conversation_id: str, kind: str) -> str:
    assistant = visit.house.assistant
    if kind == "json":
        return _json(assistant.archive.json(visit.owner, conversation_id))
    conversation = assistant.conversations.get(visit.owner, conversation_id)
    return markdown(conversation, assistant.messages.path(visit.owner, conversation_id))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
