"""A vocabulary as the tokenizer needs it, whatever file it came from.

In: what a reader (vocabulary_gguf, _json, _tiktoken, _sentencepiece) found.
Out: one frozen record.  Does not know files, and encodes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import tokenizers

# What models call the token that ends an answer, a message or a text.
STOP_TEXTS = (
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|im_end|>",
    "<|end|>",
    "<|eot|>",
    "<end_of_turn>",
    "<|end_of_turn|>",
    "<EOT>",
    "</s>",
    "<｜end▁of▁sentence｜>",  # noqa: RUF001
)

# An added token of one of these shapes steers the model, whatever its file declares it to be:
# <|im_start|>, <tool_call>, </s>, [INST], <<SYS>>.
_STEERING = re.compile(r"<[|｜].+[|｜]>|</?\w[\w:.-]*>|\[/?[A-Z_]{2,}\]|<</?[A-Z]+>>")  # noqa: RUF001


@dataclass(frozen=True)
class SpacePrefix:
    """When a space is put before text, as SentencePiece does, to be taken away in decoding."""

    where: Literal["never", "first", "always"] = "never"  # always: after each control token too
    unless_there: bool = False  # a text that starts with a space gets no second one


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, and who they are."""

    plain: tokenizers.Tokenizer  # encodes text; has never heard of a special token
    tokens: Sequence[str]  # by id, spelled as in the file
    spelling: Literal["byte_level", "metaspace"]
    special: Mapping[str, int]  # tokens that text never becomes
    hidden: frozenset[int]  # of those, the ones that are no text: decoding leaves them out
    literal: frozenset[int]  # tokens spelled in plain text whatever `spelling` says
    bos_id: int | None
    eos_id: int | None
    stop_ids: frozenset[int]
    add_bos: bool
    prefix: SpacePrefix = SpacePrefix()


def steers(token: str) -> bool:
    """Whether an added token is shaped like one that steers the model."""
    return _STEERING.fullmatch(token) is not None


def stop_tokens(special: Mapping[str, int], declared: Iterable[int | None]) -> frozenset[int]:
    """Collect the ids that the file declares as ends, and those known by name."""
    known = {special[text] for text in STOP_TEXTS if text in special}
    return frozenset(known | {token for token in declared if token is not None})
