"""Turns: something is said, the answer is told line by line, heard again, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from puna.errors import ConflictError, InvalidParameterError, NotFoundError
from puna.server import failures
from puna.server.assistant.person import Person
from puna.server.fields import Body, ModelName
from puna.server.web.answers import LINES, Begin, happenings, lines
from puna.server.web.visit import Visit
from puna.services.assistant.entry import Entry
from puna.services.assistant.messages import LONGEST_TEXT
from puna.services.assistant.presets import LONGEST_INSTRUCTIONS
from puna.services.assistant.question import Question

router = APIRouter(prefix="/api/v1/turns", tags=["assistant"], responses=failures.RESPONSES)

MOST_FILES = 50
Id = Annotated[str, Field(max_length=64)]
TOLD: dict[int | str, dict[str, Any]] = {200: {"content": {LINES: {}}}}


class TurnParameters(Body):
    """How the answer's tokens are chosen, in place of what the preset says."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None


class TurnRequest(Body):
    """What is said; without a `text` the last question is answered again.

    An `answer` that was cut (by its length, a stop or a failure), the last of its branch, goes on
    where it ended; it stays one message.
    Without a `conversation` one is begun.  Without a `parent` it is said at the end of the branch
    that was seen last; after an earlier message it begins a branch.  Model and preset stay what
    they were in the conversation unless they are given; `instructions` and `parameters` stand in
    place of the preset's for this answer alone.
    """

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)] | None = None
    conversation: Id | None = None
    parent: Id | None = None
    answer: Id | None = None
    files: Annotated[list[Id], Field(max_length=MOST_FILES, default_factory=list)]
    model: ModelName | None = None
    preset: Id | None = None
    instructions: Annotated[str, Field(max_length=LONGEST_INSTRUCTIONS)] = ""
    parameters: TurnParameters = TurnParameters()


class Wanted(Begin):
    """A turn's beginning as the page has it, with what a preset would say."""

    instructions: str = ""
    parameters: Mapping[str, Any] = Field(default_factory=dict)

    def question(self) -> Question:
        """The same in the assistant's words."""
        return replace(
            super().question(), instructions=self.instructions, parameters=self.parameters
        )


@router.post("", response_class=Response, responses=TOLD)
async def begin_turn(visit: Person, said: TurnRequest) -> Response:
    """Say something, and hear the answer as lines of JSON (`application/x-ndjson`) while it grows.

    Each line has a `type`: `loading` (`model`, `share`: it is not in memory yet), `begin` (`turn`,
    `conversation`, and where an answer goes on `answer`, as it stands), `text` (more of the
    answer), `tool` (a call: `tool.done` once it has its result), `source` (what a mark such as [1]
    points to), `left_out` (the oldest messages do not fit into the context), `title`, `end`
    (`path`: the branch with the answer as it is kept, its last message), `error`
    (`error.message`: nothing was kept), `unsaid` (stopped before anything was kept) and `left`
    (what is left of the plan).  The header X-Puna-Turn names the turn.  The answer goes
    on where nobody listens any more; deleting the turn stops it.
    """
    wanted = await visit.do(_wanted, visit, said)
    try:
        turn = visit.house.turns.open(visit.visitor.user_id, wanted.conversation)
    except ValueError:
        raise ConflictError(
            "an answer is being given in this conversation; stop it first"
        ) from None
    visit.house.turns.start(turn, happenings(visit, wanted, turn))
    return lines(turn)


@router.get("/{turn}", response_class=Response, responses=TOLD)
async def follow_turn(visit: Person, turn: Annotated[str, Path(max_length=64)]) -> Response:
    """Hear a running answer from its first line on, as its beginning does."""
    running = visit.house.turns.find(visit.visitor.user_id, turn)
    if running is None:
        raise NotFoundError("there is no such running answer")
    return lines(running)


@router.delete("/{turn}", status_code=204)
async def stop_turn(visit: Person, turn: Annotated[str, Path(max_length=64)]) -> Response:
    """End a running answer; what was said is kept.  One that is over needs no stopping."""
    running = visit.house.turns.find(visit.visitor.user_id, turn)
    if running is not None:
        await running.stop()
    return Response(status_code=204)


def _wanted(visit: Visit, said: TurnRequest) -> Wanted:
    """What is left open is as the conversation has it."""
    model, preset = said.model, said.preset
    entries: tuple[Entry, ...] = ()
    if said.conversation is not None:
        assistant, owner = visit.house.assistant, visit.owner
        kept = assistant.conversations.get(owner, said.conversation)
        model, preset = model or kept.model or None, preset or kept.preset_id
        entries = assistant.messages.path(owner, said.conversation, limit=2).entries
    model = model or visit.house.assistant.presets.get(visit.owner, preset).model or None
    return Wanted(
        kind=_kind(said),
        conversation=said.conversation,
        parent=said.parent or _parent(entries, again=said.text is None),
        answer=said.answer,
        text=said.text or "",
        files=tuple(said.files),
        model=model,
        preset=preset,
        instructions=said.instructions,
        parameters=said.parameters.model_dump(exclude_none=True),
    )


def _kind(said: TurnRequest) -> Literal["say", "again", "continue"]:
    if said.answer is not None:
        return "continue"
    return "again" if said.text is None else "say"


def _parent(entries: tuple[Entry, ...], *, again: bool) -> str | None:
    """The last message; to answer again, the last question."""
    if not again:
        return entries[-1].id if entries else None
    questions = [entry.id for entry in entries if entry.role == "user"]
    if not questions:
        raise InvalidParameterError("there is no question yet that could be answered again")
    return questions[-1]
