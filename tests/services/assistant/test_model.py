"""The default model answers a turn on an event loop, is stopped, and says the first word early."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from puna.accounts.store import Store
from puna.errors import ModelNotFoundError
from puna.llm.llm import LLM
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.events import Ended, Said
from puna.services.assistant.model import Local
from puna.services.assistant.question import Question
from tests.services.assistant.conftest import person
from tests.services.assistant.story import ran

pytestmark = pytest.mark.default_model


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    try:
        opened = LLM("smollm2", context_tokens=2048)
    except ModelNotFoundError:
        pytest.skip("the default model is not in the model store")
    with opened:
        yield opened


def test_the_default_model_answers_from_a_file(lite: Store, llm: LLM) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    file = assistant.files.add(ann, "note.txt", b"The capital of France is Paris.\n")
    preset = assistant.presets.create(
        ann, "Short", "Answer in one sentence.", parameters={"temperature": 0, "max_tokens": 24}
    )
    question = Question(
        text="What is the capital of France?", file_ids=(file.id,), preset_id=preset.id
    )

    async def story() -> tuple[str, str]:
        said, kept = "", ""
        async for event in Answering(assistant).answer(ann, question, Local(llm, "smollm2")):
            if isinstance(event, Said):
                said += event.text
            if isinstance(event, Ended):
                kept = event.answer.text
                assert event.answer.count["completion_tokens"] > 0
        return said, kept

    said, kept = ran(story)
    assert said.strip() == kept
    assert "Paris" in kept


def test_closing_the_events_stops_the_engine(lite: Store, llm: LLM) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    preset = assistant.presets.create(
        ann, "Long", "Tell long stories.", parameters={"temperature": 0}
    )

    async def story() -> None:
        question = Question(text="Tell me a story.", preset_id=preset.id)
        answering = Answering(assistant).answer(ann, question, Local(llm, "smollm2"))
        async with aclosing(answering) as events:
            async for event in events:
                if isinstance(event, Said):
                    break
        deadline = time.monotonic() + 30
        while llm.load().running and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert llm.load().running == 0

    ran(story)
    [chat] = assistant.conversations.list(ann)
    assert assistant.messages.path(ann, chat.id).entries[-1].outcome == "stopped"
