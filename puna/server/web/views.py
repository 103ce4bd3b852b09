"""The assistant's records as the page's script reads them: plain JSON.

Entries and conversations in, mappings out.  Knows no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from puna.server.web import words
from puna.server.web.left import PLAN_ENDED, PLAN_PAGE
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.entry import Entry
from puna.services.assistant.files import File
from puna.services.assistant.finding import Hit

View = dict[str, Any]


def conversation_view(conversation: Conversation) -> View:
    """What the sidebar shows of it."""
    return {"id": conversation.id, "title": conversation.title}


def path_view(entries: Sequence[Entry], names: Mapping[str, str]) -> list[View]:
    """A branch, top to bottom; `names` are those of the files that it mentions."""
    return [entry_view(entry, names) for entry in entries]


def entry_view(entry: Entry, names: Mapping[str, str]) -> View:
    """One message."""
    return {
        "id": entry.id,
        "role": entry.role,
        "text": entry.text,
        "outcome": entry.outcome,
        "siblings": list(entry.siblings),
        "files": [{"id": one, "name": names.get(one, "a deleted file")} for one in entry.file_ids],
        "tools": [tool_view(call) for step in entry.steps for call in step["calls"]],
        "sources": [source_view(source) for source in entry.sources],
        "tokens": entry.count.get("completion_tokens"),
        "speed": _speed(entry),
        "at": entry.created_at.isoformat(timespec="seconds"),
        "error": _trouble(entry),
    }


def _trouble(entry: Entry) -> View | None:
    """Why an answer is not whole; where the plan stood in the way, with the page that says more."""
    plan_ended = bool(entry.count.get("plan_ended"))
    message = entry.error or (PLAN_ENDED if plan_ended and entry.outcome == "length" else "")
    if not message:
        return None
    return {"message": words.sentence(message), **(PLAN_PAGE if plan_ended else {})}


def _speed(entry: Entry) -> float | None:
    """Tokens a second, once the first one was there."""
    made, took_s = entry.count.get("completion_tokens", 0), entry.count.get("decode_s", 0)
    return (made - 1) / took_s if made > 1 and took_s > 0 else None


def tool_view(call: Mapping[str, Any]) -> View:
    """One call of a tool, quietly."""
    name = str(call["name"])
    return {
        "id": call["id"],
        "name": name,
        "label": call.get("label", name),
        "arguments": call.get("arguments", ""),
        "result": call.get("result", ""),
        "done": "result" in call,
    }


def source_view(source: Mapping[str, Any]) -> View:
    """What a mark such as [1] points to."""
    kept = ("number", "file_id", "name", "where", "text", "quote")
    return {**{name: source.get(name) for name in kept}, "cited": source.get("cited", True)}


def file_view(file: File) -> View:
    """An attached file."""
    pages = f"{file.pages} pages, " if file.pages else ""
    about = f"{words.size(file.n_bytes)}, {pages}{words.count(file.words)} words"
    return {"id": file.id, "name": file.name, "words": about}


def hit_view(hit: Hit) -> View:
    """A conversation that was found, with the words around the place."""
    excerpt = hit.snippet.text if hit.message_id else ""
    return {**conversation_view(hit.conversation), "excerpt": excerpt, "message": hit.message_id}


def mentioned(entries: Iterable[Entry]) -> set[str]:
    """The files that a branch mentions."""
    return {file_id for entry in entries for file_id in entry.file_ids}
