"""How a turn looks: its text, tools as they are called, sources, the end that it took."""

from __future__ import annotations

import os
from typing import Any

import pytest

from puna.cli.remote.records import safe
from puna.cli.remote.telling import tell
from puna.errors import RemoteError
from tests.cli.screen import Screen

LEFT = {"type": "left", "left": {"words": "82 % of the month left", "share": 0.82, "resets": ""}}


def ended(**more: Any) -> dict[str, Any]:
    answer = {
        "id": "msg_1",
        "role": "assistant",
        "text": "",
        "outcome": "complete",
        "files": [],
        "tools": [],
        "sources": [],
        "tokens": 12,
        "error": None,
        "something new": 1,
    }
    return {"type": "end", "path": [{**answer, **more}]}


def tool(done: bool, **more: object) -> dict[str, Any]:
    call = {"id": "c", "name": "add", "label": "Adder", "arguments": '{"a": 1, "b": 2}'}
    return {"type": "tool", "tool": {**call, "done": done, **more}}


def told(capsys: pytest.CaptureFixture[str], *events: dict[str, Any]) -> tuple[str, str]:
    tell([safe(event) for event in events])
    shown = capsys.readouterr()
    return shown.out, shown.err


def test_the_answer_goes_to_stdout_and_the_rest_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = [{"type": "text", "text": text} for text in ("It is ", "three [1].")]
    source = {"number": 1, "name": "sums.txt", "where": "line 3", "quote": "1 + 2\nis 3"}
    out, err = told(
        capsys,
        {"type": "begin", "turn": "t"},
        {"type": "left_out"},
        tool(False),
        tool(True, result="3"),
        *said,
        {"type": "a kind of next year"},
        ended(sources=[source, {**source, "number": 2, "cited": False}]),
        LEFT,
    )
    assert out == "It is three [1].\n"
    assert err.splitlines() == [
        "the oldest messages do not fit into the context any more",
        "  Adder(a: 1, b: 2) → 3",
        "[1] sums.txt, line 3: “1 + 2 is 3”",
        "read: sums.txt, line 3: “1 + 2 is 3”",
    ]


@pytest.mark.parametrize(
    ("end", "note"),
    [
        ({"outcome": "stopped"}, "stopped"),
        (
            {"outcome": "length"},
            "stopped after 12 tokens; /continue goes on, --max-tokens sets how many",
        ),
        (
            {"outcome": "length", "error": {"message": "Your plan has no more."}},
            "Your plan has no more.",
        ),
        (
            {"outcome": "repeated"},
            "ended, for it went on saying the same; /continue goes on",
        ),
        ({"outcome": "broken", "error": {"message": "No room."}}, "puna: error: No room."),
        ({"outcome": "broken"}, "puna: error: it broke off"),
    ],
)
def test_why_an_answer_is_cut_is_said(
    capsys: pytest.CaptureFixture[str], end: dict[str, Any], note: str
) -> None:
    assert told(capsys, {"type": "text", "text": "so"}, ended(**end)) == ("so\n", f"{note}\n")


def test_a_plan_that_is_nearly_used_up_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    left = {"words": "9 % of the month left", "share": 0.09, "resets": "resets 1 Dec"}
    assert told(capsys, ended(), {"type": "left", "left": left})[1] == (
        "9 % of the month left, resets 1 Dec\n"
    )


def test_a_refusal_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RemoteError, match=r"^There is no such model\.$"):
        tell([{"type": "error", "error": {"message": "There is no such model."}}])


@pytest.mark.parametrize("end", [{"path": [{"id": 1}]}, {"path": [3]}, {"path": ["x"]}])
def test_what_is_not_understood_is_said_so(end: dict[str, Any]) -> None:
    with pytest.raises(RemoteError, match="does not understand"):
        tell([{"type": "end", **end}])


def test_arguments_that_are_no_json_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = tool(False, arguments="{half")
    err = told(capsys, begun, tool(True, result="x\x1b[2J"), ended())[1]
    assert err == "  Adder({half) → x[2J\n"


LOADING = """
import time
from puna.cli.remote.telling import tell

def events():
    for share in (0.0, 0.25, 0.5):
        yield {"type": "loading", "model": "smollm2", "share": share}
        time.sleep(PAUSE_S)
    yield {"type": "begin", "turn": "t"}
    time.sleep(PAUSE_S)
    yield {"type": "text", "text": "Hello."}

tell(events())
"""


@pytest.mark.parametrize(("pause_s", "shown"), [(0.4, True), (0.0, False)])
def test_a_terminal_shows_how_far_a_model_is_that_takes_its_time(
    pause_s: float, shown: bool
) -> None:
    script = LOADING.replace("PAUSE_S", str(pause_s))
    with Screen(program=("-c", script), environment=os.environ) as screen:
        assert screen.wait_for_exit() == 0
    assert ("Loading smollm2, 50%" in screen.text) == shown
    assert screen.text.rstrip().endswith("Hello.")


def test_a_file_is_told_nothing_of_the_loading(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"type": "text", "text": "Hello."}
    out, err = told(capsys, {"type": "loading", "model": "smollm2", "share": 0.5}, said, ended())
    assert (out, err) == ("Hello.\n", "")
