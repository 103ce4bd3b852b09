"""Text to token ids and back.

In: text, or ids.  Out: the other.  Special tokens come out of text only where
the caller says `special=True`.  Does not know chat templates, nor the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from puna.errors import UnsupportedModelError
from puna.text.alphabet import unspell
from puna.text.vocabulary import Vocabulary
from puna.text.vocabulary_gguf import vocabulary_from_gguf
from puna.text.vocabulary_json import vocabulary_from_json
from puna.text.vocabulary_sentencepiece import vocabulary_from_sentencepiece
from puna.text.vocabulary_tiktoken import looks_like_tiktoken, vocabulary_from_tiktoken

if TYPE_CHECKING:
    from puna.formats.checkpoint import Checkpoint

_LONGEST_RUN = 25_000  # characters
_RUN = re.compile(r"\S+|\s+")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer:
    """One model's tokenizer.

    `special` maps the text of each token that user text never becomes to its
    id; `stop_ids` are the tokens that end an answer.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.vocab_size = len(vocabulary.tokens)
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.add_bos = vocabulary.add_bos
        self.stop_ids = vocabulary.stop_ids
        self.special: Mapping[str, int] = vocabulary.special
        self._special_pattern = _any_of(vocabulary.special)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Tokenizer:
        """Build the tokenizer from GGUF metadata, tokenizer.json or tokenizer.model.

        Raises MalformedFileError or UnsupportedModelError.
        """
        return cls(_read_vocabulary(checkpoint))

    def encode(self, text: str, *, special: bool = False, continuing: bool = False) -> list[int]:
        """Turn text into ids, without BOS.

        With `special`, the text of a special token becomes that token; without,
        it is text like any other.  `continuing` says that other tokens come
        before, so that no leading space is due.  A lone surrogate, which is no
        character, is read as U+FFFD.
        """
        text = _without_lone_surrogates(text)
        if not special:
            return self._encode_plain(text, first=not continuing)
        return self._encode_marked(text, first=not continuing)

    def pieces(self, text: str) -> Iterator[int | str]:
        """Cut text at the special tokens in it: their ids, and the text between them."""
        for index, piece in enumerate(self._special_pattern.split(text)):
            if index % 2:
                yield self.special[piece]
            elif piece:
                yield piece

    def decode(self, ids: Sequence[int], *, special: bool = False, continuing: bool = False) -> str:
        """Turn ids into text; bytes that are no UTF-8 become U+FFFD.

        With `special`, control tokens are written out; without, left out.
        `continuing` keeps the leading space that encoding puts before a text.
        """
        data = b"".join(self.shown_bytes(token, special=special) for token in ids)
        text = data.decode("utf-8", "replace")
        return text if continuing else self.without_prefix(text)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for in text; none for a control token."""
        return self.shown_bytes(token_id, special=False)

    def shown_bytes(self, token_id: int, *, special: bool) -> bytes:
        """Return a token's bytes, with a control token's own text if `special`."""
        vocabulary = self._vocabulary
        if token_id >= self.vocab_size or (token_id in vocabulary.hidden and not special):
            return b""  # networks may have more rows than the vocabulary has tokens
        token = vocabulary.tokens[token_id]
        if token_id in vocabulary.literal:
            return token.encode("utf-8", "replace")
        return unspell(token) if vocabulary.spelling == "byte_level" else _metaspace_bytes(token)

    def token_text(self, token_id: int) -> str:
        """Return a token as text to look at; a part of a character shows as U+FFFD."""
        return self.shown_bytes(token_id, special=True).decode("utf-8", "replace")

    def without_prefix(self, text: str) -> str:
        """Take away the space that encoding puts before a text, if this tokenizer puts one."""
        prefixed = self._vocabulary.prefix.where != "never"
        return text[1:] if prefixed and text.startswith(" ") else text

    @property
    def has_prefix(self) -> bool:
        """Whether encoding puts a space before a text."""
        return self._vocabulary.prefix.where != "never"

    def _encode_marked(self, text: str, *, first: bool) -> list[int]:
        ids: list[int] = []
        for piece in self.pieces(text):
            if isinstance(piece, int):
                ids.append(piece)
            else:
                ids.extend(self._encode_plain(piece, first=first and not ids))
        return ids

    def _encode_plain(self, text: str, *, first: bool) -> list[int]:
        if not text:
            return []
        prefix = self._vocabulary.prefix
        wanted = prefix.where == "always" or (prefix.where == "first" and first)
        if wanted and not (prefix.unless_there and text.startswith(" ")):
            text = " " + text
        # The fast form computes no offsets, which nobody here asks for.
        encode, ids = self._vocabulary.plain.encode_batch_fast, []
        for part in _cut_long_runs(text):
            ids.extend(encode([part], add_special_tokens=False)[0].ids)
        return ids


def _read_vocabulary(checkpoint: Checkpoint) -> Vocabulary:
    files, config = checkpoint.files, checkpoint.metadata
    if checkpoint.format == "gguf":
        return vocabulary_from_gguf(config)
    if "tokenizer.json" in files:
        return vocabulary_from_json(files, config)
    if "tokenizer.model" not in files:
        raise UnsupportedModelError(
            "there is neither a tokenizer.json nor a tokenizer.model beside the weights; "
            "copy the one that the model was published with into the folder"
        )
    if looks_like_tiktoken(files["tokenizer.model"]):
        return vocabulary_from_tiktoken(files["tokenizer.model"])
    return vocabulary_from_sentencepiece(files["tokenizer.model"])


def _any_of(special: Mapping[str, int]) -> re.Pattern[str]:
    """Match any of the texts, the longest where several fit."""
    longest_first = sorted(special, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})" if special else r"(?!)()")


def _metaspace_bytes(token: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    if byte:
        return bytes([int(byte[1], 16)])
    return token.replace("▁", " ").encode("utf-8", "replace")


def _cut_long_runs(text: str) -> Iterator[str]:
    """Cut inside runs of over 25,000 characters without a space, or of nothing else.

    Meta's tokenizer does the same, so that no word is long enough to exhaust it.
    """
    start = 0
    for run in _RUN.finditer(text) if len(text) > _LONGEST_RUN else ():
        for cut in range(run.start() + _LONGEST_RUN, run.end(), _LONGEST_RUN):
            yield text[start:cut]
            start = cut
    yield text[start:]


def _without_lone_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
