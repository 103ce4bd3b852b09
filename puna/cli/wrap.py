"""Lines that break between words, while the words are still coming.

In: pieces of text, and a terminal's width.  Out: the same text with newlines where a
terminal would have cut a word in two.  Waits for nothing but the end of a word.
"""

from __future__ import annotations

from rich.cells import cell_len


class WordWrap:
    """Holds back one word at most, until a space, a newline or a wide character ends it."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._column = 0  # where the cursor stands
        self._word = ""

    def push(self, text: str) -> str:
        """Take in text; return what can be shown of it and of what came before."""
        return "".join(map(self._take, text))

    def flush(self) -> str:
        """Return the last word."""
        word, self._word = self._word, ""
        if not word:
            return ""
        width = cell_len(word)
        breaks = self._column > 0 and self._column + width > self._columns
        self._column = (0 if breaks else self._column) + width
        self._column -= self._columns * (max(0, self._column - 1) // self._columns)
        return "\n" + word if breaks else word

    def _take(self, character: str) -> str:
        if character == "\n":
            return self.flush() + self._new_line()
        if character == " ":
            return self.flush() + self._space()
        if cell_len(character) > 1:  # Chinese has no spaces to wait for
            before, self._word = self.flush(), character
            return before + self.flush()
        self._word += character
        return ""

    def _new_line(self) -> str:
        self._column = 0
        return "\n"

    def _space(self) -> str:
        if self._column >= self._columns:
            return ""  # the next word begins a line anyway
        self._column += 1
        return " "
