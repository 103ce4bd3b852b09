"""A person's conversations: listed, searched, read, renamed, branched, taken out, deleted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.assistant.shapes import Conversation, Conversations, Message, Talk
from puna.server.fields import Body, ModelName
from puna.server.web import conversations as page
from puna.server.web.exports import TYPES, download, exported
from puna.server.web.visit import Visit
from puna.services.assistant.conversations import LONGEST_TITLE
from puna.services.assistant.messages import Page

router = APIRouter(prefix="/api/v1/conversations", tags=["assistant"], responses=failures.RESPONSES)

MOST = 1000
Id = Annotated[str, Path(max_length=64)]
TEXTS: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {} for kind in TYPES.values()}}}


class ConversationChange(Body):
    """What is given gets a new value; a null preset is the built-in one."""

    title: Annotated[str, Field(max_length=LONGEST_TITLE)] | None = None
    model: ModelName | None = None
    preset: Annotated[str, Field(max_length=64)] | None = None


class BranchChoice(Body):
    """The message whose branch is to be seen."""

    message: Annotated[str, Field(max_length=64)]


@router.get("")
async def list_conversations(
    visit: Person,
    q: Annotated[str, Query(max_length=1000)] = "",
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Conversations:
    """List the latest conversations, those after `after`; or find the words of `q` in all.

    The last word may be unfinished.
    """
    return await visit.do(_listed, visit, q, after, limit)


@router.get("/{conversation}")
async def read_conversation(
    visit: Person,
    conversation: Id,
    before: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Talk:
    """Return the branch that was seen last: its last `limit` messages, those before `before`."""
    return await visit.do(_talk, visit, conversation, before, limit)


@router.patch("/{conversation}")
async def change_conversation(
    visit: Person, conversation: Id, change: ConversationChange
) -> Conversation:
    """Rename it, or go on with another model or preset."""
    wanted = page.Change.model_validate(change.model_dump(exclude_unset=True))
    return Conversation.of(await visit.do(page.changed, visit, conversation, wanted))


@router.delete("/{conversation}", status_code=204)
async def delete_conversation(visit: Person, conversation: Id) -> Response:
    """Delete it with its messages and files, for good."""
    await visit.do(visit.house.assistant.conversations.delete, visit.owner, conversation)
    return Response(status_code=204)


@router.post("/{conversation}/branch")
async def choose_branch(visit: Person, conversation: Id, choice: BranchChoice) -> Talk:
    """Show another version of a message, and what followed it."""
    choose = visit.house.assistant.messages.choose_branch
    await visit.do(choose, visit.owner, conversation, choice.message)
    return await visit.do(_talk, visit, conversation, None, MOST)


@router.get("/{conversation}/export.{kind}", response_class=Response, responses=TEXTS)
async def export_conversation(
    visit: Person, conversation: Id, kind: Literal["md", "json", "zip"]
) -> Response:
    """Give it as a file: `md` is the branch on screen to read, `json` the whole tree to keep.

    `zip` is the tree with the files that it mentions.
    """
    await visit.do(visit.house.assistant.conversations.get, visit.owner, conversation)
    return download(await exported(visit, conversation, kind), f"conversation.{kind}", TYPES[kind])


def _listed(visit: Visit, query: str, after: str | None, limit: int) -> Conversations:
    assistant, owner = visit.house.assistant, visit.owner
    if query.strip():
        hits = assistant.finding.find(owner, query, limit=limit)
        return Conversations(conversations=[Conversation.of_hit(hit) for hit in hits])
    last = assistant.conversations.get(owner, after) if after else None
    found = assistant.conversations.list(owner, after=last, limit=limit)
    return Conversations(conversations=[Conversation.of(one) for one in found])


def _talk(visit: Visit, conversation_id: str, before: str | None, limit: int) -> Talk:
    assistant, owner = visit.house.assistant, visit.owner
    record = assistant.conversations.get(owner, conversation_id)
    branch = assistant.messages.path(owner, conversation_id, before=before, limit=limit)
    turn = visit.house.turns.running(visit.visitor.user_id, conversation_id)
    return Talk(
        **dict(Conversation.of(record)),
        messages=_messages(visit, branch),
        earlier=branch.earlier,
        running=turn.id if turn else None,
    )


def _messages(visit: Visit, branch: Page) -> list[Message]:
    return [Message.model_validate(view) for view in page.views_of(visit, branch.entries)]
