"""A turn: a question kept, a prompt built, an answer streamed, tools called, everything saved.

In: an owner, a question, a model.  Out: events, as they happen.
Does not know who meters, nor who listens: closing the events stops the answer and keeps its part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from puna.chat import REPETITION_LIMIT, FinishReason
from puna.errors import PunaError
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.commands import Command, command_in
from puna.services.assistant.conversations import Conversation
from puna.services.assistant.entry import Entry, Outcome
from puna.services.assistant.events import (
    Begun,
    CallFinished,
    CallStarted,
    Ended,
    Event,
    LeftOut,
    Titled,
)
from puna.services.assistant.model import TurnModel
from puna.services.assistant.owner import Owner
from puna.services.assistant.presets import Preset
from puna.services.assistant.prompt import Fitted
from puna.services.assistant.question import Question
from puna.services.assistant.titles import title
from puna.services.assistant.tools.calls import Done
from puna.services.assistant.tools.tool import Asking
from puna.services.assistant.tools.toolbox import Chosen
from puna.services.assistant.turn import GrowingAnswer
from puna.services.assistant.turn_prompt import TurnPrompt

MOST_ROUNDS = 5  # of tool calls in one turn; then the model must answer
MOST_CALLS = 8  # in one round
OUTCOMES: dict[FinishReason, Outcome] = {"length": "length", "repetition": "repeated"}
SAVE_EVERY_S = 2.0
BROKEN = "Puna failed in the middle of this answer; ask again."
NOTHING_FOUND = "None of your files holds these words."


@dataclass
class _Turn:
    """What one turn works with."""

    owner: Owner
    model: TurnModel
    preset: Preset
    conversation: Conversation
    question: Entry
    entry: Entry
    growing: GrowingAnswer
    prompt: TurnPrompt
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def asking(self) -> Asking:
        return Asking(self.owner, self.entry.id, self.growing.sources)


class Answering:
    """Runs turns on an assistant."""

    def __init__(self, assistant: Assistant, *, improve_titles: bool = False) -> None:
        self._assistant, self._improve_titles = assistant, improve_titles

    async def answer(
        self, owner: Owner, question: Question, model: TurnModel
    ) -> AsyncGenerator[Event, None]:
        """Yield what happens; a PunaError before the first event means that nothing was kept."""
        turn = await self._begun(owner, question, model)
        outcome: Outcome = "stopped"
        error = ""
        try:
            yield Begun(turn.conversation, turn.question, turn.entry)
            command = command_in(turn.question.text)
            begun = self._rounds(turn) if command is None else self._obeyed(turn, command)
            async with aclosing(begun) as events:
                async for event in events:
                    yield event
            outcome = OUTCOMES.get(turn.growing.finish_reason, "complete")
        except PunaError as refused:
            outcome, error = "broken", str(refused)
        except Exception:
            outcome, error = "broken", BROKEN
            raise
        finally:  # also when the listener goes
            ended = await self._ended(turn, outcome, error)
        yield Ended(ended)
        if titled := await self._better_title(turn, outcome):
            yield Titled(titled)

    async def _ended(self, turn: _Turn, outcome: Outcome, error: str) -> Entry:
        """End in a thread, for others are answered meanwhile; to the end, whoever leaves."""
        ending = asyncio.ensure_future(asyncio.to_thread(self._finish, turn, outcome, error))
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _begun(self, owner: Owner, question: Question, model: TurnModel) -> _Turn:
        """Begin in a thread; who leaves meanwhile leaves a stopped answer, not a running one."""
        beginning = asyncio.ensure_future(asyncio.to_thread(self._begin, owner, question, model))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await self._ended(await beginning, "stopped", "")
            raise

    def _begin(self, owner: Owner, question: Question, model: TurnModel) -> _Turn:
        """Keep the question and open the answer, both or none."""
        parts = self._assistant
        preset = question.altered(parts.presets.get(owner, question.preset_id))
        with parts.store.write():
            conversation_id = question.conversation_id or parts.conversations.create(owner).id
            said, entry, growing = self._opened(owner, conversation_id, question, model.name)
            before = parts.messages.path(owner, conversation_id, leaf_id=said.id).entries[:-1]
            conversation = parts.conversations.choose(
                owner, conversation_id, model=model.name, preset_id=question.preset_id
            )
        prompt = TurnPrompt(parts, owner, model, preset, said, before, growing)
        return _Turn(owner, model, preset, conversation, said, entry, growing, prompt)

    def _opened(
        self, owner: Owner, conversation_id: str, question: Question, model: str
    ) -> tuple[Entry, Entry, GrowingAnswer]:
        """Return the question and its answer: a new one, or the one that was cut."""
        parts = self._assistant
        if question.answer_id:
            cut = parts.under_way.reopen(owner, conversation_id, question.answer_id)
            return parts.messages.get(owner, str(cut.parent_id)), cut, GrowingAnswer(cut)
        if question.text is None:
            said = parts.messages.get(owner, str(question.parent_id))
            entry = parts.messages.open_answer(owner, conversation_id, said.id, model=model)
            return said, entry, GrowingAnswer()
        parts.files.attach(owner, question.file_ids, conversation_id)
        said, entry = parts.messages.ask(
            owner,
            conversation_id,
            question.parent_id,
            question.text,
            file_ids=question.file_ids,
            model=model,
        )
        return said, entry, GrowingAnswer()

    async def _obeyed(self, turn: _Turn, command: Command) -> AsyncGenerator[Event, None]:
        """Carry out what the person calls; its result is the answer, or the model reads it."""
        tools = await self._assistant.toolbox.chosen((command.call.name,))
        if turn.growing.begun:
            await tools.carry_out(turn.asking, command.call)  # the model is to read it once more
        else:
            turn.growing.calls = (command.call,)
            async with aclosing(self._carry_out(turn, tools)) as events:
                async for event in events:
                    yield event
        turn.growing.forget_rounds()
        if not command.question or not len(turn.growing.sources):
            said = NOTHING_FOUND if command.question else turn.growing.result
            for told in turn.growing.say(said):
                yield told
            return
        async with aclosing(self._rounds(turn, command.question)) as rounds:
            async for event in rounds:
                yield event

    async def _rounds(self, turn: _Turn, question: str = "") -> AsyncGenerator[Event, None]:
        """Let the model talk, carry out its calls, let it go on.

        With a `question`, that is asked about the passages which are found already.
        """
        names = turn.preset.tools if turn.model.uses_tools else ()
        chosen = await self._assistant.toolbox.chosen(() if question else names)
        for number in range(MOST_ROUNDS + 1):
            tools = chosen if number < MOST_ROUNDS else await self._assistant.toolbox.chosen(())
            fitted = await asyncio.to_thread(turn.prompt.fitted, tools.definitions, question)
            if fitted.dropped_turns and number == 0:
                yield LeftOut(fitted.dropped_turns)
            async with aclosing(self._talk(turn, fitted, tools)) as events:
                async for event in events:
                    yield event
            if not turn.growing.calls:
                return
            async with aclosing(self._carry_out(turn, tools)) as events:
                async for event in events:
                    yield event

    async def _talk(
        self, turn: _Turn, fitted: Fitted, tools: Chosen
    ) -> AsyncGenerator[Event, None]:
        """Stream one round of the model's words; an answer that was cut goes on."""
        deltas = turn.model.stream(
            fitted.messages,
            tools=tools.definitions,
            salt=turn.owner.user_id,
            begun=turn.prompt.begun,
            repetition_limit=REPETITION_LIMIT,
            **turn.preset.parameters,
        )
        async with aclosing(deltas) as stream:
            async for delta in stream:
                for event in turn.growing.take(delta):
                    yield event
                await self._save_now_and_then(turn)
        for event in turn.growing.end_round():
            yield event

    async def _carry_out(self, turn: _Turn, tools: Chosen) -> AsyncGenerator[Event, None]:
        """Carry out the calls of one round, one after another."""
        done: list[Done] = []
        for call in turn.growing.calls[:MOST_CALLS]:
            yield CallStarted(call.id, call.name, tools.label(call.name), call.arguments)
            one = await tools.carry_out(turn.asking, call)
            done.append(one)
            yield CallFinished(call.id, call.name, one.label, one.result, one.outcome, one.took_s)
        turn.growing.take_calls(done)

    async def _save_now_and_then(self, turn: _Turn) -> None:
        now = time.monotonic()
        if now - turn.saved_at < SAVE_EVERY_S:
            return
        turn.saved_at = now
        growing, messages = turn.growing, self._assistant.messages
        steps = [dict(step) for step in growing.steps]
        await asyncio.to_thread(messages.save, turn.owner, turn.entry.id, growing.text, steps)

    def _finish(self, turn: _Turn, outcome: Outcome, error: str) -> Entry:
        for _ in turn.growing.end_round():
            pass  # nobody hears it any more, but it is kept
        kept: dict[str, Any] = turn.growing.kept(turn.model.count_text)
        if turn.model.spent and outcome in ("length", "broken"):
            kept["count"]["plan_ended"] = 1
        return self._assistant.messages.finish(
            turn.owner, turn.entry.id, outcome, kept.pop("text"), error=error, **kept
        )

    async def _better_title(self, turn: _Turn, outcome: Outcome) -> Conversation | None:
        """Ask the model for a title after the first answer, where that is wished for."""
        first = not turn.prompt.before and turn.conversation.title_by == "opening"
        if not (self._improve_titles and first and outcome == "complete"):
            return None
        said = turn.question.text, turn.growing.text
        words = await title(turn.model, *said, salt=turn.owner.user_id)
        return await asyncio.to_thread(
            self._assistant.conversations.improve_title, turn.owner, turn.conversation.id, words
        )
