"""`puna ask`: a question from an argument or a pipe, an answer as text or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Puna

SHORT = ("--max-tokens", "16", "--seed", "1")


def test_the_answer_alone_is_on_stdout(puna: Puna) -> None:
    done = puna("ask", "hello", *SHORT)
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stdout.endswith("\n")


def test_argument_pipe_and_dash_are_the_same_question(puna: Puna) -> None:
    argument = puna("ask", "hello", *SHORT)
    assert argument.stdout == puna("ask", *SHORT, stdin="hello\n").stdout
    assert argument.stdout == puna("ask", "-", *SHORT, stdin="hello\n").stdout


def test_a_seed_fixes_the_answer(puna: Puna) -> None:
    hot = ("ask", "hello", "--temperature", "2", "--max-tokens", "16")
    first, again, other = (puna(*hot, "--seed", seed).stdout for seed in "112")
    assert first == again != other


def test_json_has_the_answer_with_usage_and_timings(puna: Puna) -> None:
    plain = puna("ask", "hello", *SHORT)
    reply = json.loads(puna("ask", "hello", "--json", *SHORT).stdout)
    assert reply["model"] == "tiny"
    assert reply["text"].rstrip("\n") == plain.stdout.rstrip("\n")
    assert reply["finish_reason"] in ("stop", "length")
    usage, timings = reply["usage"], reply["timings"]
    assert usage["prompt_tokens"] > 0
    assert 0 < usage["completion_tokens"] <= 16
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert min(timings["queued_s"], timings["prefill_s"], timings["decode_s"]) >= 0


def test_an_answer_may_take_what_a_short_context_still_holds(puna: Puna) -> None:
    reply = json.loads(puna("ask", "hello", "--json", "--seed", "1", PUNA_CONTEXT="160").stdout)
    assert reply["finish_reason"] in ("stop", "length")
    assert reply["usage"]["total_tokens"] <= 160


def test_a_schema_that_is_no_text_is_named(puna: Puna, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_bytes(b"\xff\xfe{")
    refused = puna("ask", "hello", "--schema", str(schema))
    assert refused.returncode == 1
    assert f"{schema}: is not UTF-8" in refused.stderr


def test_a_system_message_is_read(puna: Puna) -> None:
    def prompt_tokens(*more: str) -> int:
        done = puna("ask", "hello", "--json", *SHORT, *more)
        return int(json.loads(done.stdout)["usage"]["prompt_tokens"])

    assert prompt_tokens("--system", "Say one two three.") > prompt_tokens()


def test_an_answer_that_is_cut_says_so_on_stderr(puna: Puna) -> None:
    done = puna("ask", "hello", "--max-tokens", "1", "--temperature", "0")
    assert done.returncode == 0
    assert "--max-tokens" in done.stderr


def test_a_schema_shapes_the_answer(puna: Puna, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"ok": {"type": "boolean"}},'
                      ' "required": ["ok"], "additionalProperties": false}')  # fmt: skip
    done = puna("ask", "hello", "--schema", str(schema), "--seed", "1", "--max-tokens", "200")
    assert json.loads(done.stdout)["ok"] in (True, False)


def test_a_schema_that_cannot_be_enforced_is_refused(puna: Puna, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "unicorn"}')
    done = puna("ask", "hello", "--schema", str(schema))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("puna: error: ")


def test_no_question_at_all_is_a_usage_error(puna: Puna) -> None:
    done = puna("ask", stdin="  \n")
    assert done.returncode == 2
    assert "stdin is empty" in done.stderr
