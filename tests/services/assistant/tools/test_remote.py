"""Allowed tools of a real server reach the model, others and changed ones do not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from puna.accounts.store import Store
from puna.chat import Tool as Definition
from puna.chat import ToolCall
from puna.errors import ToolError
from puna.services.assistant.answer import Answering
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.citations import Sources
from puna.services.assistant.events import CallFinished, Event
from puna.services.assistant.question import Question
from puna.services.assistant.tools.remote import RemoteTools
from puna.services.assistant.tools.tool import Asking
from puna.services.assistant.tools.toolbox import LONGEST_RESULT
from tests.services.assistant.conftest import person
from tests.services.assistant.scripted import Scripted, calls, says
from tests.services.assistant.story import ran

SMALL = str(Path(__file__).with_name("small_server.py"))


def test_the_owner_allows_and_the_model_calls(lite: Store) -> None:
    ann, assistant = person(lite, "ann"), Assistant(lite)
    assistant.servers.add("small", command=[sys.executable, SMALL])
    assistant.servers.add("gone", command=["/no/such/program"])
    model = Scripted(calls("small__add", '{"left": 2, "right": 3}'), says("Five."))

    async def story() -> list[Event]:
        try:
            assert await assistant.remote.tools() == []
            offers = {tool.name: tool for tool in await assistant.remote.offers("small")}
            assistant.servers.allow("small", [offers["add"], offers["long"]])
            assistant.servers.allow("gone", [offers["add"]])
            return [e async for e in Answering(assistant).answer(ann, Question(text="?"), model)]
        finally:
            await assistant.close()

    events = ran(story)
    [finished] = [event for event in events if isinstance(event, CallFinished)]
    assert (finished.label, finished.result, finished.outcome) == ("small: add", "5", "done")
    assert model.tools[0][-2:] == ("small__add", "small__long")
    assert assistant.calls.latest()[0].tool == "small__add"


def test_a_result_without_end_is_cut_and_what_was_not_allowed_refused(lite: Store) -> None:
    asking, assistant = Asking(person(lite, "ann"), "m", Sources()), Assistant(lite)
    assistant.servers.add("small", command=[sys.executable, SMALL])

    async def story() -> tuple[str, str]:
        try:
            offers = {tool.name: tool for tool in await assistant.remote.offers("small")}
            assistant.servers.allow("small", [offers["long"]])
            chosen = await assistant.toolbox.chosen(None)
            call = ToolCall("1", "small__long", '{"characters": 100000}')
            cut = await chosen.carry_out(asking, call)
            refused = await chosen.carry_out(asking, ToolCall("2", "small__environment", "{}"))
            return cut.result, refused.outcome
        finally:
            await assistant.close()

    result, outcome = ran(story)
    assert len(result) < LONGEST_RESULT + 100
    assert result.endswith("(cut: 92,000 more characters)")
    assert outcome == "refused"


def test_a_tool_that_changed_its_words_is_withheld(lite: Store) -> None:
    assistant = Assistant(lite)
    assistant.servers.add("small", command=[sys.executable, SMALL])

    async def story() -> list[str]:
        try:
            offers = await assistant.remote.offers("small")
            assistant.servers.remove("small")
            assistant.servers.add("small", command=[sys.executable, SMALL, "changed"])
            assistant.servers.allow("small", offers)
            await assistant.remote.offers("small")  # begun, however long that takes here
            return [tool.definition.name for tool in await assistant.remote.tools()]
        finally:
            await assistant.close()

    names = ran(story)
    assert "small__long" in names
    assert "small__add" not in names


def test_a_server_that_does_not_answer_holds_up_one_turn_shortly(lite: Store) -> None:
    servers = Assistant(lite).servers
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]
    servers.add("mute", command=silent)
    servers.allow("mute", [Definition("any")])

    async def story() -> float:
        remote = RemoteTools(servers, patience_s=0.5)
        try:
            begun = time.monotonic()
            assert await remote.tools() == []
            return time.monotonic() - begun
        finally:
            await remote.close()

    assert 0.4 < ran(story) < 5


def test_an_unknown_server_offers_nothing(lite: Store) -> None:
    with pytest.raises(ToolError, match="no tool server"):
        ran(lambda: Assistant(lite).remote.offers("none"))
