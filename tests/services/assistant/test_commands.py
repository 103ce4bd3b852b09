"""Tools that a person calls: the result is the answer, or passages that the model reads."""

from __future__ import annotations

import json

import pytest

from puna.accounts.store import Store
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.commands import command_in
from puna.services.assistant.events import CallFinished, CallStarted, Said
from puna.services.assistant.question import Question
from tests.services.assistant.conftest import Clock, person
from tests.services.assistant.scripted import Scripted, says
from tests.services.assistant.test_answer import ask, ended


@pytest.mark.parametrize(
    ("typed", "tool", "arguments"),
    [
        ("/calc 12 * 7", "calculate", {"expression": "12 * 7"}),
        (" /calc  (1+2)^2 \n", "calculate", {"expression": "(1+2)^2"}),
        ("/date", "date", {}),
        ("/date +45", "date", {"add_days": 45}),
        ("/date -2 months", "date", {"add_months": -2}),
        ("/date 2026-12-24", "date", {"date": "2026-12-24"}),
        ("/date America/New York", "date", {"time_zone": "America/New_York"}),
        ("/search invoice from Miller", "search_files", {"query": "invoice from Miller"}),
    ],
)
def test_what_is_typed_stands_for_a_call(
    typed: str, tool: str, arguments: dict[str, object]
) -> None:
    command = command_in(typed)
    assert command is not None
    assert (command.call.name, json.loads(command.call.arguments)) == (tool, arguments)


@pytest.mark.parametrize(
    "typed",
    ["", "/", "/calc", "/search  ", "/etc/hosts is what?", "calc 1", "/calculate 1", "a /calc 1"],
)
def test_anything_else_is_a_question(typed: str) -> None:
    assert command_in(typed) is None


def test_the_calculators_result_is_the_answer_and_no_model_is_asked(store: Store) -> None:
    ann, assistant, model = person(store, "ann"), Assistant(store), Scripted(says("You too."))
    model.uses_tools = False
    events = ask(assistant, ann, Question(text="/calc 12 * 7"), model)
    assert [event.label for event in events if isinstance(event, CallStarted)] == ["Calculator"]
    assert "".join(event.text for event in events if isinstance(event, Said)) == "12 * 7 = 84"
    answer = ended(events)
    assert (answer.text, answer.outcome, model.asked) == ("12 * 7 = 84", "complete", [])
    assert answer.steps[0]["calls"][0]["result"] == "12 * 7 = 84"
    assert [line.tool for line in assistant.calls.latest()] == ["calculate"]
    chat = assistant.conversations.list(ann)[0].id
    ask(assistant, ann, Question(chat, answer.id, "Thanks!"), model)
    assert [(m.role, m.content) for m in model.asked[0][1:]] == [
        ("user", "/calc 12 * 7"), ("assistant", "12 * 7 = 84"), ("user", "Thanks!"),
    ]  # fmt: skip


def test_what_goes_wrong_is_said(lite: Store) -> None:
    ann, assistant, model = person(lite, "ann"), Assistant(lite), Scripted()
    events = ask(assistant, ann, Question(text="/calc 1 / 0"), model)
    [finished] = [event for event in events if isinstance(event, CallFinished)]
    assert finished.outcome == "failed"
    assert ended(events).text == "The tool failed: division by zero."


def test_a_date_by_the_assistants_clock(lite: Store, clock: Clock) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite, clock=clock)
    answer = ended(ask(assistant, ann, Question(text="/date +45"), Scripted()))
    assert answer.text == "Thursday, 16 April 2026 (2026-04-16)."


def test_a_search_gives_the_model_passages_which_its_answer_cites(store: Store) -> None:
    ann, bob, assistant = person(store, "ann"), person(store, "bob"), Assistant(store)
    assistant.files.add(ann, "lease.txt", b"The rent is 900 EUR.\nPets are allowed.\n")
    assistant.files.add(bob, "other.txt", b"The rent of Bob is a secret.\n")
    model = Scripted(says("900 EUR [1]."), says("x"))
    model.uses_tools = False
    answer = ended(ask(assistant, ann, Question(text="/search rent"), model))
    assert answer.text == "900 EUR [1]."
    assert answer.sources[0]["name"] == "lease.txt"
    [system, asked] = model.asked[0]
    assert (system.role, asked.role) == ("system", "user")
    assert '<passage number="1" file="lease.txt"' in asked.content
    assert asked.content.endswith("What do these passages say about this: rent")
    assert "secret" not in asked.content
    assert model.tools[0] == ()


def test_a_search_that_finds_nothing_says_so_without_the_model(lite: Store) -> None:
    ann, assistant, model = person(lite, "ann"), Assistant(lite), Scripted()
    answer = ended(ask(assistant, ann, Question(text="/search unicorns"), model))
    assert answer.text == "None of your files holds these words."
    assert model.asked == []
