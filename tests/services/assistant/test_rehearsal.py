"""What is rehearsed is what the first person's prompt begins with; nothing of it stays."""

from __future__ import annotations

from puna.accounts.store import Store
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.question import Question
from puna.services.assistant.rehearsal import rehearse
from tests.services.assistant.conftest import person
from tests.services.assistant.scripted import Scripted, says
from tests.services.assistant.story import ran


def test_it_begins_as_the_first_persons_prompt_and_leaves_nothing(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    model = Scripted(says("I", "talk."), says("Yes."))

    async def story() -> None:
        await rehearse(assistant, model)
        assert assistant.conversations.list(ann) == []
        async for _ in Answering(assistant).answer(ann, Question(text="Are you there?"), model):
            pass
        await assistant.close()

    ran(story)
    rehearsed, asked = model.asked
    assert rehearsed[0] == asked[0]
    assert [message.role for message in rehearsed] == [message.role for message in asked]
    assert model.params[0]["salt"] == ""
