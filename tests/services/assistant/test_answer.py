"""Turns from the question to the kept answer: events, tools, citations, stops, failures."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.errors import ContextOverflowError, InvalidParameterError, NotFoundError
from puna.services.assistant.answer import BROKEN, MOST_ROUNDS, Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.events import (
    Begun,
    CallFinished,
    CallStarted,
    Cited,
    Ended,
    Event,
    LeftOut,
    Said,
    Titled,
)
from puna.services.assistant.owner import Owner
from puna.services.assistant.prompt import NOTE
from puna.services.assistant.question import Question
from tests.services.assistant.conftest import person
from tests.services.assistant.scripted import Scripted, calls, says
from tests.services.assistant.story import ran


def ask(
    assistant: Assistant, owner: Owner, question: Question, model: Scripted, **options: Any
) -> list[Event]:
    async def story() -> list[Event]:
        answering = Answering(assistant, **options)
        return [event async for event in answering.answer(owner, question, model)]

    return ran(story)


def test_a_question_is_kept_and_its_answer_streamed(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    assistant.memory.add(ann, "I live in Oslo.")
    model = Scripted(says("It ", "rains."))
    events = ask(assistant, ann, Question(text="How is it outside?"), model)
    assert [type(event) for event in events] == [Begun, Said, Said, Ended]
    begun, ended = events[0], events[-1]
    assert isinstance(begun, Begun)
    assert isinstance(ended, Ended)
    assert begun.conversation.title == "How is it outside?"
    assert ended.answer.text == "It rains."
    assert (ended.answer.outcome, ended.answer.model) == ("complete", "scripted")
    assert ended.answer.count["completion_tokens"] == 2
    assert ended.answer.count["first_word_s"] <= ended.answer.count["took_s"]
    [system, asked] = model.asked[0]
    assert "You are Puna" in system.content
    assert "I live in Oslo." in system.content
    assert asked.content == "How is it outside?"
    assert model.params[0]["salt"] == ann.user_id
    page = assistant.messages.path(ann, begun.conversation.id)
    assert [entry.text for entry in page.entries] == ["How is it outside?", "It rains."]
    assert begun.as_json()["conversation"]["title"] == "How is it outside?"


def test_it_goes_on_again_and_on_a_branch(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(says("one"), says("two"), says("other one"), says("edited"))
    first = ended(ask(assistant, ann, Question(text="a"), model))
    chat = assistant.conversations.list(ann)[0].id
    second = ended(ask(assistant, ann, Question(chat, first.id, "b", preset_id="editor"), model))
    assert [m.content for m in model.asked[1][1:]] == ["a", "one", "b"]
    assert model.params[1]["temperature"] == 0.4
    again = ended(ask(assistant, ann, Question(chat, first.parent_id), model))
    assert again.siblings == (first.id, again.id)
    assert [m.content for m in model.asked[2][1:]] == ["a"]
    edited = ended(ask(assistant, ann, Question(chat, None, "a, edited"), model))
    assert [m.content for m in model.asked[3][1:]] == ["a, edited"]
    assert len(assistant.messages.get(ann, str(edited.parent_id)).siblings) == 2
    assert assistant.messages.choose_branch(ann, chat, second.id).entries[-1].text == "two"


def ended(events: list[Event]) -> Any:
    [last] = [event for event in events if isinstance(event, Ended)]
    return last.answer


def test_tools_are_called_kept_and_logged(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    model = Scripted(
        calls("calculate", '{"expression": "12 * 12"}', "Let me see."),
        calls("calculate", '{"expression": "1/0"}'),
        calls("fly", "{}"),
        says("It is 144."),
        says("Yes."),
    )
    events = ask(assistant, ann, Question(text="What is a gross?"), model)
    started = [event.label for event in events if isinstance(event, CallStarted)]
    finished = [(e.result, e.outcome) for e in events if isinstance(e, CallFinished)]
    assert started == ["Calculator", "Calculator", "fly"]
    assert finished[0] == ("12 * 12 = 144", "done")
    assert finished[1] == ("The tool failed: division by zero.", "failed")
    assert finished[2][1] == "refused"
    answer = ended(events)
    assert answer.text == "Let me see.\n\nIt is 144."
    assert "".join(e.text for e in events if isinstance(e, Said)) == answer.text
    assert [step["calls"][0]["name"] for step in answer.steps[:-1]] == ["calculate"] * 2 + ["fly"]
    told = model.asked[1]
    assert (told[-1].role, told[-1].content) == ("tool", "12 * 12 = 144")
    assert told[-2].tool_calls[0].name == "calculate"
    lines = assistant.calls.latest()
    assert [line.outcome for line in lines] == ["refused", "failed", "done"]
    assert {line.message_id for line in lines} == {answer.id}
    chat = assistant.conversations.list(ann)[0].id
    ask(assistant, ann, Question(chat, answer.id, "Sure?"), model)
    assert [m.role for m in model.asked[-1]] == [
        "system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool",
        "assistant", "user",
    ]  # fmt: skip


def test_a_model_that_only_calls_must_answer_in_the_end(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(*[calls("date", "{}")] * MOST_ROUNDS, says("Enough."))
    answer = ended(ask(assistant, ann, Question(text="?"), model))
    assert answer.text == "Enough."
    assert model.tools[0] == ("calculate", "date", "search_files", "remember")
    assert model.tools[-1] == ()


def test_a_preset_and_a_model_say_which_tools_there_are(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(says("a"), says("b"))
    ask(assistant, ann, Question(text="?", preset_id="reader"), model)
    model.uses_tools = False
    ask(assistant, ann, Question(text="?"), model)
    assert model.tools == [("search_files",), ()]


def test_the_models_wish_to_remember_waits_for_a_yes(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(
        calls("remember", '{"fact": "Ann is a vegetarian."}'), says("I asked you."), says("x")
    )
    ask(assistant, ann, Question(text="Remember that I eat no meat"), model)
    [fact] = assistant.memory.list(ann)
    assert (fact.text, fact.state) == ("Ann is a vegetarian.", "proposed")
    ask(assistant, ann, Question(text="?"), model)
    assert "vegetarian" not in model.asked[-1][0].content


LEASE = b"The rent is 900 EUR.\nThe notice period is three months.\nPets are allowed.\n"


def test_an_attached_file_is_read_and_cited(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    file = assistant.files.add(ann, "lease.txt", LEASE)
    model = Scripted(says("Three months ", "of notice [", "1", "]. And [4]", " so on."), says("x"))
    question = Question(text="How long is the notice period?", file_ids=(file.id,))
    events = ask(assistant, ann, question, model)
    [cited] = [event.source for event in events if isinstance(event, Cited)]
    assert (cited.name, cited.quote, cited.quote_line) == (
        "lease.txt", "The notice period is three months.", 2,
    )  # fmt: skip
    answer = ended(events)
    assert answer.text == "Three months of notice [1]. And  so on."
    assert answer.sources[0]["quote_line"] == 2
    asked = model.asked[0][-1].content
    assert '<passage number="1" file="lease.txt" place="lines 1-3">' in asked
    assert asked.endswith("(Attached: lease.txt)\n\nHow long is the notice period?")
    chat = assistant.conversations.list(ann)[0].id
    assert assistant.files.get(ann, file.id).conversation_id == chat
    ask(assistant, ann, Question(chat, answer.id, "And pets?"), model)
    assert "Pets are allowed." in model.asked[1][-1].content  # the file stays with the talk
    assert model.asked[1][1].content == "How long is the notice period?"
    assistant.conversations.delete(ann, chat)
    assert assistant.files.list(ann) == []


def test_a_search_by_the_model_is_cited_too(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    assistant.files.add(ann, "lease.txt", LEASE)
    model = Scripted(calls("search_files", '{"query": "rent"}'), says("900 EUR [1]."))
    events = ask(assistant, ann, Question(text="What is my rent?"), model)
    assert ended(events).sources[0]["quote"] == "The rent is 900 EUR."


def test_of_a_large_file_only_what_answers_is_read(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    filler = "Nothing of interest stands in this line of the book.\n" * 400
    text = f"{filler}The secret word is xylophone.\n{filler}"
    file = assistant.files.add(ann, "book.txt", text.encode())
    model = Scripted(says("ok"), context_tokens=2_000)
    ask(assistant, ann, Question(text="What is the secret word?", file_ids=(file.id,)), model)
    assert "xylophone" in model.asked[0][-1].content
    assert model.count_prompt(model.asked[0]) <= 1_500


def test_old_turns_are_left_out_with_a_note(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(*[says("word " * 60)] * 12, context_tokens=600)
    last, chat = None, None
    for n in range(12):
        events = ask(assistant, ann, Question(chat, last, f"question {n}"), model)
        last, chat = ended(events).id, assistant.conversations.list(ann)[0].id
    [left] = [event for event in events if isinstance(event, LeftOut)]
    prompt = model.asked[-1]
    assert left.turns + len(prompt) // 2 == 12
    assert prompt[0].content.endswith(NOTE)
    assert prompt[1].content == f"question {left.turns}"
    assert model.count_prompt(prompt) <= 450
    assert NOTE not in model.asked[0][0].content


def test_a_stopped_answer_keeps_what_was_said(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    model = Scripted(says("one ", "two ", "three"))

    async def story() -> None:
        async with aclosing(Answering(assistant).answer(ann, Question(text="?"), model)) as events:
            async for event in events:
                if isinstance(event, Said) and event.text == "two ":
                    break

    ran(story)
    [chat] = assistant.conversations.list(ann)
    entry = assistant.messages.path(ann, chat.id).entries[-1]
    assert (entry.outcome, entry.text) == ("stopped", "one two")
    assert model.closed == 1


def test_a_cancelled_task_keeps_what_was_said(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(says("one ", *["more "] * 1000), pause_s=0.01)

    async def story() -> None:
        heard = asyncio.Event()

        async def listen() -> None:
            async for event in Answering(assistant).answer(ann, Question(text="?"), model):
                if isinstance(event, Said):
                    heard.set()

        task = asyncio.create_task(listen())
        await heard.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    ran(story)
    [chat] = assistant.conversations.list(ann)
    entry = assistant.messages.path(ann, chat.id).entries[-1]
    assert entry.outcome == "stopped"
    assert entry.text.startswith("one")
    assert assistant.messages.given_here == set()


def test_a_turn_that_is_cancelled_at_once_leaves_nothing_running(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)

    async def story() -> None:
        events = Answering(assistant).answer(ann, Question(text="?"), Scripted(says("one")))
        task = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await events.aclose()

    ran(story)
    assert assistant.messages.given_here == set()


def test_a_failing_model_is_told_and_its_part_kept(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    refused = ContextOverflowError(9, 9, 9)
    answer = ended(ask(assistant, ann, Question(text="?"), Scripted([*says("half")[:1], refused])))
    assert (answer.outcome, answer.text, answer.error) == ("broken", "half", str(refused))
    with pytest.raises(RuntimeError):
        ask(assistant, ann, Question(text="?"), Scripted([*says("half")[:1], RuntimeError("bug")]))
    chat = assistant.conversations.list(ann)[0].id
    entry = assistant.messages.path(ann, chat).entries[-1]
    assert (entry.outcome, entry.text, entry.error) == ("broken", "half", BROKEN)


def test_a_question_that_is_refused_leaves_nothing(store: Store) -> None:
    ann, bob, assistant = person(store, "ann"), person(store, "bob"), Assistant(store)
    chat = assistant.conversations.create(ann)
    file = assistant.files.add(ann, "a.txt", b"secret")
    for question, error in (
        (Question(text=" "), InvalidParameterError),
        (Question(chat.id, None, "hi"), NotFoundError),
        (Question(text="hi", file_ids=(file.id,)), NotFoundError),
        (Question(text="hi", preset_id="none"), NotFoundError),
        (Question(None, "msg_none"), NotFoundError),
    ):
        with pytest.raises(error):
            ask(assistant, bob, question, Scripted(says("x")))
    assert assistant.conversations.list(bob) == []


def test_the_model_may_improve_the_title_once(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(says("Boil it."), says('"Soft eggs"\n'), says("ok"))
    events = ask(assistant, ann, Question(text="How do I boil an egg?"), model, improve_titles=True)
    assert isinstance(events[-1], Titled)
    assert events[-1].conversation.title == "Soft eggs"
    chat = events[-1].conversation.id
    more = ask(
        assistant, ann, Question(chat, ended(events).id, "And tea?"), model, improve_titles=True
    )
    assert not any(isinstance(event, Titled) for event in more)


def test_four_people_are_answered_at_once(store: Store) -> None:
    assistant = Assistant(store)
    people = [person(store, name) for name in ("ann", "bob", "cid", "dee")]

    async def one(owner: Owner) -> str:
        model = Scripted(says(*(f"{owner.user_id} " for _ in range(20))), pause_s=0.002)
        events = Answering(assistant).answer(owner, Question(text="who?"), model)
        return str(ended([event async for event in events]).text)

    async def story() -> list[str]:
        return await asyncio.gather(*map(one, people))

    texts = ran(story)
    assert texts == [" ".join([owner.user_id] * 20) for owner in people]
    assert [len(assistant.conversations.list(owner)) for owner in people] == [1] * 4
