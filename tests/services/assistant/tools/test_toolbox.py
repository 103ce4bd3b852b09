from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.chat import Tool as Definition
from puna.chat import ToolCall
from puna.services.assistant.citations import Sources
from puna.services.assistant.owner import Owner
from puna.services.assistant.tools.calculator import Calculator
from puna.services.assistant.tools.calls import CallLog, Done
from puna.services.assistant.tools.tool import Asking
from puna.services.assistant.tools.toolbox import Toolbox
from tests.services.assistant.story import ran

ASKING = Asking(Owner("ten", "usr"), "msg", Sources())


class Sleeper:
    label = "Sleeper"
    definition = Definition("sleep")

    async def call(self, _asking: Asking, arguments: Mapping[str, Any]) -> str:
        await asyncio.sleep(float(arguments["seconds"]))
        return "slept"


NO_TEXT = "The tool failed: 'expression' must be text of 1 to 2000 characters."
TOO_LONG = "The tool failed: arguments have at most 20,000 characters."


@pytest.mark.parametrize(
    ("name", "arguments", "result", "outcome"),
    [
        ("calculate", '{"expression": "6*7"}', "6*7 = 42", "done"),
        ("calculate", "not json", "The tool failed: the arguments are no JSON.", "failed"),
        ("calculate", "[" * 10_000, "The tool failed: the arguments are no JSON.", "failed"),
        ("calculate", "[1]", "The tool failed: the arguments are no JSON object.", "failed"),
        ("calculate", "", NO_TEXT, "failed"),
        ("calculate", '{"expression": 5}', NO_TEXT, "failed"),
        ("calculate", "x" * 20_001, TOO_LONG, "failed"),
        ("shell", "{}", "There is no tool 'shell'; there are: calculate, sleep.", "refused"),
        ("sleep", '{"seconds": 60}', "The tool took more than 0.2 s.", "late"),
    ],
)  # fmt: skip
def test_every_call_ends_in_words_and_in_the_log(
    store: Store, name: str, arguments: str, result: str, outcome: str
) -> None:
    log = CallLog(store)

    async def story() -> tuple[str, str]:
        box = Toolbox([Calculator(), Sleeper()], None, log, call_s=0.2)
        done = await (await box.chosen(None)).carry_out(ASKING, ToolCall("1", name, arguments))
        return done.result, done.outcome

    assert ran(story) == (result, outcome)
    [line] = log.latest()
    assert (line.user_id, line.message_id, line.tool, line.outcome) == ("usr", "msg", name, outcome)
    assert line.argument_characters == len(arguments)
    kept = {k: v for k, v in vars(line).items() if k not in {"at", "took_ms"}}
    assert "42" not in str(kept)  # sizes, no content


def test_a_tenants_oldest_lines_make_room_and_nobody_elses(store: Store) -> None:
    log = CallLog(store, lines=3)
    other = Asking(Owner("other", "usr"), "msg", Sources())
    log.note(other, done_with("first"))
    for number in range(5):
        log.note(ASKING, done_with(f"tool {number}"))
    log.note(other, done_with("last"))
    told = [(line.tenant_id, line.tool) for line in log.latest()]
    mine = [("ten", f"tool {number}") for number in (4, 3, 2)]
    assert told == [("other", "last"), *mine, ("other", "first")]


def done_with(tool: str) -> Done:
    return Done(ToolCall("1", tool, "{}"), tool, "result", "done", 0.1)
