"""Byte-level BPE as the tokenizers library runs it.

In: tokens spelled in the byte alphabet, merges, a pre-tokenizer.  Out: a
tokenizer for plain text.  Does not know special tokens.
"""

from __future__ import annotations

import re

import tokenizers
from tokenizers import Regex, models, pre_tokenizers

from puna.errors import MalformedFileError
from puna.text.alphabet import BYTE_CHARACTERS
from puna.text.merges import Merge


def byte_level_bpe(
    vocabulary: dict[str, int],
    merges: list[Merge],
    splitter: pre_tokenizers.PreTokenizer,
    *,
    ignore_merges: bool,
) -> tokenizers.Tokenizer:
    """Build the tokenizer; raises MalformedFileError if a merge names no token.

    `ignore_merges`: a piece that is a token is that token, whatever the merges say.
    """
    try:
        model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore_merges)
    except Exception as error:  # the library raises nothing narrower
        raise MalformedFileError(f"the tokenizer's merges do not fit its tokens: {error}") from None
    plain = tokenizers.Tokenizer(model)
    plain.pre_tokenizer = _without_unknown_bytes(splitter, vocabulary)
    return plain


def _without_unknown_bytes(
    splitter: pre_tokenizers.PreTokenizer, vocabulary: dict[str, int]
) -> pre_tokenizers.PreTokenizer:
    """Drop bytes that the vocabulary has no token for, and let nothing merge across them.

    SmolLM2, say, never saw some control characters in training.
    """
    unknown = [character for character in BYTE_CHARACTERS if character not in vocabulary]
    if not unknown:
        return splitter
    pattern = Regex(f"[{re.escape(''.join(unknown))}]")
    return pre_tokenizers.Sequence([splitter, pre_tokenizers.Split(pattern, "removed")])
