"""Where in a growing answer its calls begin.

In: pieces of text, cut anywhere.  Out: what certainly stands before any call; the rest is kept.
Knows no stop strings and reads no call.
"""

from __future__ import annotations

from collections.abc import Sequence

from puna.text.calls.format import PYTHON_TAG
from puna.text.calls.style import CallStyle


class CallWatch:
    """Lets text through until a call begins; holds back what may become one's beginning."""

    def __init__(self, style: CallStyle, names: Sequence[str]) -> None:
        self._openings = style.openings(names)
        self._longest = max(map(len, self._openings), default=0)
        self._triggers = style.triggers
        self._is_no_row = not self._openings
        self.held = ""
        self.begun = False

    def push(self, text: str) -> str:
        """Return the text that no call can begin in."""
        self.held += text
        if self.begun or not (self._is_no_row or self._beginning_is_text()):
            return ""
        found = [at for trigger in self._triggers if (at := self.held.find(trigger)) >= 0]
        self.begun = bool(found)
        safe = min(found) if found else len(self.held) - self._forming()
        said, self.held = self.held[:safe], self.held[safe:]
        return said

    def _beginning_is_text(self) -> bool:
        """Tell whether the answer can no longer be a row of calls; notices where it is one."""
        begun = "".join(self.held.removeprefix(PYTHON_TAG).split())[: self._longest]
        if any(begun.startswith(opening) for opening in self._openings):
            self.begun = True
        elif not any(opening.startswith(begun) for opening in self._openings):
            self._is_no_row = True
        return self._is_no_row

    def _forming(self) -> int:
        """Return the length of the longest end that begins a trigger."""
        longest = max(map(len, self._triggers), default=1) - 1
        for size in range(min(len(self.held), longest), 0, -1):
            if any(trigger.startswith(self.held[-size:]) for trigger in self._triggers):
                return size
        return 0
