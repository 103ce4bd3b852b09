"""What is read ahead is what the next prompt begins with; nothing of it stays."""

from __future__ import annotations

import pytest

from puna.accounts.store import Store
from puna.errors import NotFoundError
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.beginning import read_ahead
from puna.services.assistant.question import Question
from tests.services.assistant.conftest import person
from tests.services.assistant.scripted import Scripted, says
from tests.services.assistant.story import ran
from tests.services.assistant.test_answer import ask, ended


def test_a_new_conversation_is_read_as_its_first_prompt_begins(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    assistant.memory.add(ann, "Ann keeps llamas.")
    model = Scripted([], says("Yes."))

    async def story() -> None:
        await read_ahead(assistant, ann, Question(), model)
        assert assistant.conversations.list(ann) == []
        async for _ in Answering(assistant).answer(ann, Question(text="Are you there?"), model):
            pass
        await assistant.close()

    ran(story)
    ahead, asked = model.asked
    assert "llamas" in ahead[0].content
    assert ahead[:-1] == asked[:-1]
    assert (ahead[-1].role, ahead[-1].content) == ("user", "")
    assert model.tools[0] == model.tools[1]
    assert model.params[0]["max_tokens"] == 1
    assert model.params[0]["salt"] == model.params[1]["salt"] == ann.user_id


def test_the_branch_on_which_somebody_writes_is_read(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(says("One."), says("Two."), [], says("Three."))
    first = ended(ask(assistant, ann, Question(text="1?"), model))
    [chat] = assistant.conversations.list(ann)
    ended(ask(assistant, ann, Question(chat.id, first.id, "2?"), model))
    ran(lambda: read_ahead(assistant, ann, Question(chat.id, first.id), model))
    ended(ask(assistant, ann, Question(chat.id, first.id, "other 2?"), model))
    ahead, asked = model.asked[2:]
    assert [message.content for message in ahead[1:]] == ["1?", "One.", ""]
    assert ahead[:-1] == asked[:-1]


def test_nobody_has_anothers_conversation_read(lite: Store) -> None:
    ann, bob, assistant = person(lite, "ann"), person(lite, "bob"), Assistant(lite)
    model = Scripted(says("One."), [])
    first = ended(ask(assistant, ann, Question(text="1?"), model))
    [chat] = assistant.conversations.list(ann)
    with pytest.raises(NotFoundError):
        ran(lambda: read_ahead(assistant, bob, Question(chat.id, first.id), model))
    assert len(model.asked) == 1
