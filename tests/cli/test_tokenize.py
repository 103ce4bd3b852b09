"""`puna tokenize`: the ids and texts of tokens."""

from __future__ import annotations

import json

from tests.cli.conftest import Puna
from tests.tiny_tokenizer import SPECIAL_IDS


def test_a_line_for_each_token(puna: Puna) -> None:
    lines = puna("tokenize", "hello world").stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == ["'hello'", "' world'"]


def test_json_counts_and_joins_to_the_text(puna: Puna) -> None:
    result = json.loads(puna("tokenize", "--json", stdin="hello world one").stdout)
    assert result["count"] == len(result["tokens"]) == 3
    assert "".join(token["text"] for token in result["tokens"]) == "hello world one"


def test_control_tokens_are_plain_text_unless_asked_for(puna: Puna) -> None:
    plain, special = (
        json.loads(puna("tokenize", "--json", *option, "<|eot_id|>").stdout)
        for option in ((), ("--special",))
    )
    assert plain["count"] > 1
    assert [token["id"] for token in special["tokens"]] == [SPECIAL_IDS["<|eot_id|>"]]
