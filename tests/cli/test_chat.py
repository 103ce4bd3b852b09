"""`puna chat`: at a terminal and through a pipe."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Puna, environment
from tests.cli.screen import CTRL_C, CTRL_D, ENTER, Screen

STORY = "Write a very long story about a llama who crosses the Andes."

CHAT = ("chat", "--model", "smollm2")


def test_a_piped_question_gets_the_answer_alone(puna: Puna) -> None:
    done = puna("chat", "--max-tokens", "24", "--seed", "3", stdin="hello\nworld\n")
    again = puna("ask", "hello\nworld", "--max-tokens", "24", "--seed", "3")
    assert done.returncode == 0
    assert done.stdout == again.stdout != ""


def test_an_empty_pipe_is_a_usage_error(puna: Puna) -> None:
    assert puna("chat", stdin="").returncode == 2


@pytest.mark.default_model
def test_the_default_model_answers_through_a_pipe(home_with_default_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "puna", *CHAT, "--temperature", "0", "--max-tokens", "48"],
        input="Who wrote Hamlet?",
        env=environment(home_with_default_model),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Shakespeare" in done.stdout
    assert done.stderr in ("", "puna: stopped after 48 tokens; --max-tokens sets how many\n")


@pytest.mark.default_model
def test_ctrl_c_stops_the_answer_and_not_the_program(home_with_default_model: Path) -> None:
    arguments = ("chat", "--model", "smollm2", "--temperature", "0")
    with Screen(*arguments, environment=environment(home_with_default_model)) as screen:
        ready = screen.wait_for("Ask away.*> ")
        screen.press(STORY + ENTER)
        begun = screen.wait_for("⏎.{60}", after=ready)
        screen.press(CTRL_C)
        stopped = screen.wait_for("puna: stopped.*> ", after=begun)
        screen.press("Who wrote Hamlet?" + ENTER)
        answered = screen.wait_for("⏎.{20}", after=stopped)
        screen.press(CTRL_C)
        screen.wait_for("puna: stopped.*> ", after=answered)
        screen.press(CTRL_D)
        assert screen.wait_for_exit() == 0
        assert "Traceback" not in screen.text


def test_ctrl_c_at_the_prompt_drops_the_line(home: Path) -> None:
    with Screen("chat", environment=environment(home)) as screen:
        ready = screen.wait_for("Ask away.*> ")
        screen.press("a line that I" + CTRL_C)
        dropped = screen.wait_for("> ", after=ready + len("a line that I"))
        screen.press("/exit" + ENTER)
        assert screen.wait_for_exit() == 0
        assert "Traceback" not in screen.text[dropped:]


def test_ctrl_c_stops_ask_with_130(home: Path) -> None:
    with Screen("ask", environment=environment(home)) as screen:
        assert screen.wait_for_exit() == 2  # at a terminal nothing is piped in
    endless = ("ask", "hello", "--max-tokens", "2000", "--temperature", "0")
    with Screen(*endless, environment=environment(home)) as screen:
        screen.wait_for(r".{20}")
        screen.press(CTRL_C)
        assert screen.wait_for_exit() == 130
        assert "Traceback" not in screen.text


def test_commands(home: Path, tmp_path: Path, tiny_file: Path) -> None:
    saved = tmp_path / "talk.json"
    with Screen("chat", "--max-tokens", "8", environment=environment(home)) as screen:
        at = screen.wait_for("Ask away.*> ")

        def enter(line: str, expected: str) -> None:
            nonlocal at
            screen.press(line + ENTER)
            at = screen.wait_for(expected + ".*\n> ", after=at)

        enter("/help", "/save +write the talk to a file")
        enter("/sistem", r"did you mean /system\?")
        enter("/system Say hello.", "Say hello.")
        enter("hello", "⏎.")
        enter(f"/save {saved}", "saved 2 turns")
        enter(f"/save {saved}", "saved 2 turns to .*talk-2.json")
        enter("/model nix", "puna: error: there is no model and no file 'nix'")
        enter(f"/model {tiny_file}", "going on with .*tiny.gguf")
        enter("/etc/hosts says what?", "⏎.")
        enter("/clear", "forgotten")
        screen.press("/exit" + ENTER)
        assert screen.wait_for_exit() == 0
    messages = json.loads(saved.read_text())
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    assert messages[0]["content"] == "Say hello."


def test_history_outlives_the_chat_and_is_private(home: Path) -> None:
    for _ in range(2):
        with Screen("chat", "--max-tokens", "2", environment=environment(home)) as screen:
            screen.wait_for("Ask away.*> ")
            screen.press("/system one" + ENTER)
            screen.wait_for("one.*one.*> ")
            screen.press(CTRL_D)
            assert screen.wait_for_exit() == 0
    history = home / "history"
    assert history.read_text().count("/system one") >= 1
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_a_long_prompt_shows_a_bar_that_vanishes(home: Path) -> None:
    arguments = ("ask", "hello " * 1500, "--max-tokens", "4")
    with Screen(*arguments, environment=environment(home)) as screen:
        assert screen.wait_for_exit() == 0
        assert "Reading" in screen.text
        assert "tokens" in screen.text
