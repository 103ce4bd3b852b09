"""An answer that was cut goes on where it ended: one message, counted once, its marks kept."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.chat import Delta, Usage
from puna.errors import ConflictError, NotFoundError, QuotaError
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.entry import Entry
from puna.services.assistant.events import Begun, Event, Said
from puna.services.assistant.owner import Owner
from puna.services.assistant.question import Question
from tests.services.assistant.conftest import person
from tests.services.assistant.scripted import Scripted, calls, says
from tests.services.assistant.story import ran
from tests.services.assistant.test_answer import LEASE, ask, ended


def cut(*pieces: str) -> list[Delta | Exception]:
    """A round that its length ends."""
    return [*says(*pieces)[:-1], Delta(finish_reason="length", usage=Usage(10, len(pieces), 4))]


def go_on(assistant: Assistant, owner: Owner, entry: Entry, model: Scripted) -> list[Event]:
    chat = assistant.conversations.list(owner)[0].id
    return ask(assistant, owner, Question(chat, answer_id=entry.id), model)


def begun(events: list[Event]) -> Entry:
    [one] = [event for event in events if isinstance(event, Begun)]
    return one.answer


def test_it_stays_one_message_and_its_tokens_are_added_up(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    model = Scripted(cut("Llamas ", "graze "), cut("high ", "up, "), says("all year."))
    first = ended(ask(assistant, ann, Question(text="What do they do?"), model))
    assert (first.outcome, first.text) == ("length", "Llamas graze")
    events = go_on(assistant, ann, first, model)
    assert (begun(events).id, begun(events).text) == (first.id, "Llamas graze")
    assert "".join(event.text for event in events if isinstance(event, Said)) == " high up, "
    whole = ended(go_on(assistant, ann, first, model))
    assert (whole.id, whole.siblings) == (first.id, (first.id,))
    assert (whole.outcome, whole.text) == ("complete", "Llamas graze high up, all year.")
    assert whole.count["completion_tokens"] == 5
    assert whole.count["took_s"] >= first.count["took_s"]
    assert [asked["begun"] for asked in model.params] == [
        "", "Llamas graze", "Llamas graze high up,",
    ]  # fmt: skip
    assert model.asked[0] == model.asked[1] == model.asked[2]
    [chat] = assistant.conversations.list(ann)
    path = assistant.messages.path(ann, chat.id).entries
    assert [entry.id for entry in path] == [first.parent_id, first.id]
    assert assistant.finding.find(ann, "graze high")
    assert assistant.messages.given_here == set()


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("They graze ", "high up.", "They graze high up."),
        ("They graze ", " high up.", "They graze high up."),
        ("They gra", "ze.", "They graze."),
        ("First.\n\n", "Second.", "First.\n\nSecond."),
        ("First.\n\n", "\n\nSecond.", "First.\n\nSecond."),
    ],
)
def test_the_space_at_the_cut_stands_there_once(
    lite: Store, before: str, after: str, whole: str
) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(cut(before), says(after))
    first = ended(ask(assistant, ann, Question(text="?"), model))
    events = go_on(assistant, ann, first, model)
    assert ended(events).text == whole
    said = "".join(event.text for event in events if isinstance(event, Said))
    assert begun(events).text + said == ended(events).text


def test_marks_keep_their_numbers_and_new_ones_get_others(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    one = assistant.files.add(ann, "lease.txt", LEASE)
    two = assistant.files.add(ann, "pets.txt", b"Llamas need a shelter and a friend.\n")
    model = Scripted(cut("A friend [2]. `"), says("a[0]` and ", "the rent [", "1", "]; no [7]."))
    question = Question(text="What of llamas?", file_ids=(one.id, two.id))
    first = ended(ask(assistant, ann, question, model))
    assert [source["number"] for source in first.sources] == [2]
    whole = ended(go_on(assistant, ann, first, model))
    assert whole.text == "A friend [2]. `a[0]` and the rent [1]; no ."
    cited = {source["number"]: source["name"] for source in whole.sources}
    assert cited[2] == first.sources[0]["name"]
    assert {*cited.values()} == {"lease.txt", "pets.txt"}
    assert model.asked[1][-1] == model.asked[0][-1]  # the passages bear the same numbers


def test_a_deleted_files_citation_stays_and_its_number_is_not_given_again(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    file = assistant.files.add(ann, "lease.txt", LEASE)
    model = Scripted(
        calls("search_files", '{"query": "rent"}'),
        cut("900 EUR [1]."),
        calls("search_files", '{"query": "shelter"}', " And"),
        says("a shelter [2]."),
    )
    first = ended(ask(assistant, ann, Question(text="What of it?"), model))
    assistant.files.delete(ann, file.id)
    assistant.files.add(ann, "pets.txt", b"Llamas need a shelter.\n")
    whole = ended(go_on(assistant, ann, first, model))
    assert whole.text == "900 EUR [1]. And\n\na shelter [2]."
    assert [source["name"] for source in whole.sources] == ["lease.txt", "pets.txt"]
    assert [len(step["calls"]) for step in whole.steps] == [1, 1, 0]
    assert [m.role for m in model.asked[2]] == ["system", "user", "assistant", "tool"]


def test_a_search_that_the_person_called_is_read_once_more(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    assistant.files.add(ann, "lease.txt", LEASE)
    model = Scripted(cut("It is "), says("900 EUR [1]."))
    first = ended(ask(assistant, ann, Question(text="/search rent"), model))
    whole = ended(go_on(assistant, ann, first, model))
    assert whole.text == "It is 900 EUR [1]."
    assert [len(step["calls"]) for step in whole.steps] == [1, 0]
    assert model.asked[0][-1] == model.asked[1][-1]


def test_it_is_stopped_again_and_goes_on_again(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(cut("one "), says(" two", " three"), says(" four"))
    first = ended(ask(assistant, ann, Question(text="?"), model))
    chat = assistant.conversations.list(ann)[0].id

    async def story() -> None:
        going_on = Answering(assistant).answer(ann, Question(chat, answer_id=first.id), model)
        async with aclosing(going_on) as events:
            async for event in events:
                if isinstance(event, Said):
                    return

    ran(story)
    stopped = assistant.messages.get(ann, first.id)
    assert (stopped.outcome, stopped.text) == ("stopped", "one two")
    assert stopped.count["completion_tokens"] == 2  # though the model told nothing of the second
    assert ended(go_on(assistant, ann, stopped, model)).text == "one two four"


def test_what_is_refused_leaves_the_answer_as_it_was(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(cut("one "), [QuotaError("spent")], says(" two"))
    first = ended(ask(assistant, ann, Question(text="?"), model))
    model.spent = True
    refused = ended(go_on(assistant, ann, first, model))
    assert (refused.outcome, refused.text, refused.error) == ("broken", "one", "spent")
    assert refused.count["plan_ended"]
    model.spent = False
    whole = ended(go_on(assistant, ann, first, model))
    assert (whole.outcome, whole.text, whole.error) == ("complete", "one two", "")
    assert "plan_ended" not in whole.count


def test_only_a_cut_answer_at_the_end_of_ones_own_branch_goes_on_and_once(store: Store) -> None:
    ann, bob, assistant = person(store, "ann"), person(store, "bob"), Assistant(store)
    model = Scripted(cut("one"), says("whole"), cut(""), says("never"))
    first = ended(ask(assistant, ann, Question(text="a"), model))
    chat = assistant.conversations.list(ann)[0].id
    asked = Question(chat, answer_id=first.id)
    refused: list[tuple[Owner, Question, type[Exception]]] = [
        (bob, asked, NotFoundError),
        (
            ann,
            replace(asked, conversation_id=assistant.conversations.create(ann).id),
            ConflictError,
        ),
        (ann, replace(asked, answer_id=first.parent_id), ConflictError),
        (ann, replace(asked, answer_id="msg_none"), NotFoundError),
    ]
    whole = ended(ask(assistant, ann, Question(chat, first.id, "b"), model))
    refused += [
        (ann, asked, ConflictError),
        (ann, replace(asked, answer_id=whole.id), ConflictError),
    ]
    nothing = ended(ask(assistant, ann, Question(chat, whole.id, "c"), model))
    refused += [(ann, replace(asked, answer_id=nothing.id), ConflictError)]
    for owner, question, error in refused:
        with pytest.raises(error):
            ask(assistant, owner, question, model)
    assert assistant.messages.get(ann, first.id) == first
    assert assistant.messages.given_here == set()


def test_of_a_long_answer_the_model_reads_the_end(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    words = [f"word{n} " for n in range(1_000)]
    model = Scripted(cut(*words), says("and more."), context_tokens=400)
    first = ended(ask(assistant, ann, Question(text="?"), model))
    whole = ended(go_on(assistant, ann, first, model))
    assert whole.text.startswith("word0 ")
    assert whole.text.endswith("word999 and more.")
    begun = model.params[1]["begun"].split()
    assert 20 < len(begun) <= 150
    assert begun == [word.strip() for word in words[-len(begun) :]]


def test_two_who_ask_at_once_get_one_answer(store: Store) -> None:
    ann, assistant = person(store, "ann"), Assistant(store)
    first: Any = ended(ask(assistant, ann, Question(text="a"), Scripted(cut("one"))))
    chat = assistant.conversations.list(ann)[0].id
    assistant.under_way.reopen(ann, chat, first.id)
    with pytest.raises(ConflictError):
        assistant.under_way.reopen(ann, chat, first.id)
    assert assistant.messages.given_here == {first.id}


def test_an_answer_that_repeated_itself_may_go_on_if_the_person_wishes(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    repeated: list[Delta | Exception] = [
        Delta("up and "), Delta("up and ", finish_reason="repetition", usage=Usage(10, 4, 4)),
    ]  # fmt: skip
    model = Scripted(repeated, says("away."))
    first = ended(ask(assistant, ann, Question(text="?"), model))
    assert first.outcome == "repeated"
    assert model.params[0]["repetition_limit"] == 384
    whole = ended(go_on(assistant, ann, first, model))
    assert (whole.outcome, whole.text) == ("complete", "up and up and away.")
