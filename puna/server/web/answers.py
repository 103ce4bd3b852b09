"""Answers: begun, heard from any page that is open, stopped.

What a person says in, lines of JSON out while the answer grows.  An answer
goes on when nobody listens; only stopping it ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Literal

from starlette.responses import Response, StreamingResponse

from puna.llm import LLM
from puna.llm.models import Models
from puna.server.web.conversations import path_of, views_of
from puna.server.web.failures import EXPECTED, refused
from puna.server.web.left import left_of
from puna.server.web.metered import Metered
from puna.server.web.reading import Form
from puna.server.web.refused import RefusedError, not_found
from puna.server.web.turns import Event, Turn
from puna.server.web.views import View, conversation_view, source_view
from puna.server.web.visit import Visit
from puna.services.assistant import events as told
from puna.services.assistant.question import Question

LINES = "application/x-ndjson"
TURN = "X-Puna-Turn"  # names the turn before its first line, so that it can be stopped at once
LOOK_S = 0.4  # how often who waits for a model hears how far it is


class Begin(Form):
    """Something said after `parent`, `parent` answered again, or an `answer` that is to go on."""

    kind: Literal["say", "again", "continue"]
    conversation: str | None = None
    parent: str | None = None
    answer: str | None = None
    text: str = ""
    files: tuple[str, ...] = ()
    model: str | None = None
    preset: str | None = None

    def question(self) -> Question:
        """The same in the assistant's words."""
        said = self.text if self.kind == "say" else None
        cut = self.answer if self.kind == "continue" else None
        return Question(self.conversation, self.parent, said, self.files, self.preset, cut)


async def begin(visit: Visit) -> Response:
    """Begin an answer and tell it."""
    wanted = await visit.form(Begin)
    try:
        turn = visit.house.turns.open(visit.visitor.user_id, wanted.conversation)
    except ValueError as error:
        raise RefusedError(409, "An answer is being given in this conversation.") from error
    visit.house.turns.start(turn, happenings(visit, wanted, turn))
    return lines(turn)


async def follow(visit: Visit) -> Response:
    """Tell a running answer from its first word on."""
    turn = visit.house.turns.find(visit.visitor.user_id, visit.path("turn"))
    if turn is None:
        raise not_found("running answer")
    return lines(turn)


async def stop(visit: Visit) -> Response:
    """End a running answer; what was said is kept.  One that is over needs no stopping."""
    turn = visit.house.turns.find(visit.visitor.user_id, visit.path("turn"))
    if turn is not None:
        await turn.stop()
    return Response(status_code=204)


def lines(turn: Turn) -> Response:
    """A turn's events, one a line, as they happen."""
    headers = {"X-Accel-Buffering": "no", TURN: turn.id}
    return StreamingResponse(turn.follow(), media_type=LINES, headers=headers)


async def happenings(visit: Visit, wanted: Begin, turn: Turn) -> AsyncGenerator[Event, None]:
    """Yield what the page shows; a refusal is the last thing that is told."""
    try:
        async with aclosing(_answer(visit, wanted, turn)) as events:
            async for event in events:
                yield event
    except asyncio.CancelledError:  # stopped by the person: what was said stands
        yield await _ended(visit, turn) if turn.asked else {"type": "unsaid"}
    except EXPECTED as error:
        yield {"type": "error", **refused(error).as_json()}
    except Exception as error:
        yield {"type": "error", **refused(error).as_json()}
        raise
    yield {"type": "left", "left": await visit.do(_left, visit)}


async def _answer(visit: Visit, wanted: Begin, turn: Turn) -> AsyncGenerator[Event, None]:
    house, name = visit.house, wanted.model or visit.house.default_model
    await house.desk.check(visit.visitor.caller, name)
    async with AsyncExitStack() as leased:
        leasing = asyncio.ensure_future(
            leased.enter_async_context(house.desk.models.lease_async(name))
        )
        async with aclosing(_loading(house.desk.models, name, leasing)) as waited:
            async for seen in waited:
                yield seen
        llm, turn.asked = await leasing, True
        model = Metered(llm, name, house.desk, visit.visitor.caller, house.paces)
        answer = house.answering.answer(visit.owner, wanted.question(), model)
        async with aclosing(answer) as happened:
            async for event in happened:
                async for seen in _seen(visit, turn, event):
                    yield seen


async def _loading(
    models: Models, name: str, leasing: asyncio.Task[LLM]
) -> AsyncGenerator[Event, None]:
    """Tell how far a model is until it is here; who leaves meanwhile waits no more."""
    try:
        while not leasing.done():
            await asyncio.wait([leasing], timeout=LOOK_S)
            share = None if leasing.done() else models.loading(name)
            if share is not None:
                yield {"type": "loading", "model": name, "share": round(share, 2)}
    except BaseException:
        leasing.cancel()
        await asyncio.wait([leasing])
        raise


async def _seen(visit: Visit, turn: Turn, event: told.Event) -> AsyncGenerator[Event, None]:
    match event:
        case told.Begun(conversation, _, answer):
            turn.conversation_id = conversation.id
            view = conversation_view(conversation)
            said = {"answer": views_of(visit, [answer])[0]} if answer.text else {}
            yield {"type": "begin", "turn": turn.id, "conversation": view, **said}
        case told.Said(text):
            yield {"type": "text", "text": text}
        case told.CallStarted(call, name, label, arguments):
            yield _tool(call, name, label, arguments=arguments, done=False)
        case told.CallFinished(call, name, label, result):
            yield _tool(call, name, label, result=result, done=True)
        case told.Cited(source):
            yield {"type": "source", "source": source_view(source.as_json())}
        case told.LeftOut():
            yield {"type": "left_out"}
        case told.Titled(conversation):
            yield {"type": "title", "conversation": conversation_view(conversation)}
        case told.Ended():
            yield await _ended(visit, turn)


async def _ended(visit: Visit, turn: Turn) -> Event:
    path = [] if turn.conversation_id is None else await visit.do(_path, visit, turn)
    return {"type": "end", "path": path}


def _path(visit: Visit, turn: Turn) -> list[View]:
    return path_of(visit, str(turn.conversation_id))


def _tool(call: str, name: str, label: str, **more: object) -> dict[str, Any]:
    return {"type": "tool", "tool": {"id": call, "name": name, "label": label, **more}}


def _left(visit: Visit) -> dict[str, object]:
    return left_of(visit.house.ledger.standing(visit.visitor.caller)).as_json()
