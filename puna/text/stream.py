"""Ids one at a time to text, as it may be shown.

In: the tokens of one answer in their order.  Out: whole characters, whose
concatenation is what `Tokenizer.decode` says of all of them.  Does not know
stop strings.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection

from puna.text.tokenizer import Tokenizer

_UTF8 = codecs.getincrementaldecoder("utf-8")


class StreamDecoder:
    """Holds back the bytes of an unfinished character.

    `show` names control tokens to write out, which are left out otherwise.
    `continuing` is for text that continues a prompt: the space with which its
    first token may start belongs to it.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, show: Collection[int] = (), continuing: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self._show = frozenset(show)
        self._utf8 = _UTF8("replace")
        self._begun = continuing

    def push(self, token_id: int) -> str:
        """Take one token and return the text that has become certain, often ""."""
        data = self._tokenizer.shown_bytes(token_id, special=token_id in self._show)
        return self._begin(self._utf8.decode(data))

    def flush(self) -> str:
        """Return what is left: U+FFFD for a character that never came to its end."""
        return self._begin(self._utf8.decode(b"", final=True))

    def _begin(self, text: str) -> str:
        if self._begun or not text:
            return text
        self._begun = True
        return self._tokenizer.without_prefix(text)
