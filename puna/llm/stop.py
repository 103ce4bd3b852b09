"""Stop strings: where an answer ends because of what it says.

In: pieces of text, cut anywhere.  Out: the same text up to the first stop
string, never a part of it.  Knows no tokens.
"""

from __future__ import annotations


class StopStrings:
    """Lets text through until a stop string is complete; holds back what may become one.

    The stop string that is complete first counts; of two that are complete at
    the same character, the longer.  How the text is cut makes no difference.
    """

    def __init__(self, strings: tuple[str, ...]) -> None:
        self._strings = strings
        self._beginnings = frozenset(s[:size] for s in strings for size in range(1, len(s)))
        self._longest = max(map(len, strings), default=1) - 1
        self._held = ""
        self.hit = False

    def push(self, text: str) -> str:
        """Return the text that is certain to belong to the answer now."""
        if self.hit or not self._strings:
            return "" if self.hit else text
        pending = self._held + text
        start = self._first_stop(pending)
        if start is not None:
            self.hit, self._held = True, ""
            return pending[:start]
        safe = len(pending) - self._forming(pending)
        self._held = pending[safe:]
        return pending[:safe]

    def flush(self) -> str:
        """Return what was held back; the text ends, so no stop string can form any more."""
        held, self._held = self._held, ""
        return held

    def _first_stop(self, text: str) -> int | None:
        """Return where the stop string begins that ends first."""
        found = [(text.find(s) + len(s), text.find(s)) for s in self._strings if s in text]
        return min(found)[1] if found else None

    def _forming(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a stop string."""
        for size in range(min(len(text), self._longest), 0, -1):
            if text[-size:] in self._beginnings:
                return size
        return 0
