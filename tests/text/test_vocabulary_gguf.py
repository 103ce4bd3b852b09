"""Vocabularies in GGUF metadata, sound and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.formats.checkpoint import Checkpoint
from puna.text.tokenizer import Tokenizer
from tests.text.folder import gguf_file

CONTROL, USER_DEFINED = 3, 4


def changed(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    """The same file with some `tokenizer.ggml.*` keys changed; None takes one out."""
    keys = {f"tokenizer.ggml.{name}": value for name, value in changes.items()}
    metadata = {**checkpoint.metadata, **keys}
    return gguf_file({key: value for key, value in metadata.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "bert"}, "'bert'"),
        ({"pre": "no-such-thing"}, "'no-such-thing'"),
    ],
)
def test_an_unknown_kind_is_unsupported(
    tiny: Checkpoint, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=says):
        Tokenizer.from_checkpoint(changed(tiny, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": None},
        {"tokens": []},
        {"tokens": np.arange(5)},
        {"tokens": ["a", 1]},
        {"merges": None},
        {"merges": ["nospace"]},
        {"merges": ["no such"]},
        {"token_type": np.ones(3, np.int32)},
        {"token_type": ["1"]},
        {"bos_token_id": 10**9},
        {"eos_token_id": -1},
        {"eos_token_id": "two"},
        {"model": 7},
        {"model": "llama"},  # without scores
        {"model": "llama", "scores": np.zeros(2, np.float32)},
    ],
)
def test_what_breaks_the_format_is_a_named_error(tiny: Checkpoint, changes: dict[str, Any]) -> None:
    with pytest.raises((MalformedFileError, UnsupportedModelError)):
        Tokenizer.from_checkpoint(changed(tiny, **changes))


def test_stops_bos_and_eos_are_the_files(tiny: Checkpoint, tiny_tokenizer: Tokenizer) -> None:
    special = tiny_tokenizer.special
    assert tiny_tokenizer.bos_id == special["<|begin_of_text|>"]
    assert {special["<|eot_id|>"], special["<|eom_id|>"]} <= tiny_tokenizer.stop_ids
    ended = Tokenizer.from_checkpoint(changed(tiny, eot_token_id=65))
    assert 65 in ended.stop_ids
    assert Tokenizer.from_checkpoint(changed(tiny, add_bos_token=False)).add_bos is False


def test_an_added_token_that_steers_is_special_and_yet_text(tiny: Checkpoint) -> None:
    tokens = [*tiny.metadata["tokenizer.ggml.tokens"], "<tool_call>", "    "]
    types = [*tiny.metadata["tokenizer.ggml.token_type"], USER_DEFINED, USER_DEFINED]
    tokenizer = Tokenizer.from_checkpoint(changed(tiny, tokens=tokens, token_type=np.array(types)))
    call, spaces = len(tokens) - 2, len(tokens) - 1
    assert call not in tokenizer.encode("<tool_call>")
    assert tokenizer.encode("<tool_call>", special=True) == [call]
    assert tokenizer.decode([call]) == "<tool_call>"
    assert spaces in tokenizer.encode("a    b")


def test_no_merge_makes_a_control_token_of_text(tiny: Checkpoint) -> None:
    """A file whose merges spell out a control token is hostile, and harmless."""
    types = np.array(tiny.metadata["tokenizer.ggml.token_type"])
    word = tiny.metadata["tokenizer.ggml.tokens"].index("hello")
    types[word] = CONTROL
    tokenizer = Tokenizer.from_checkpoint(changed(tiny, token_type=types))
    assert word not in tokenizer.encode("hello")
    assert tokenizer.decode(tokenizer.encode("hello")) == "hello"
