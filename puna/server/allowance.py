"""How much an answer may say: so much at first, then more for as long as there is some left.

In: what each choice has said, from the engine's thread.  Out: what it may still say.
Knows no plan: it asks in the event loop before the last is used up, and is told; until then an
answer that has said all pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LEAST_TOKENS = 16  # where not even so many are granted, there are none


class Allowance:
    """The tokens that each of a request's choices may have by now; never more than `most`."""

    def __init__(self, step: int, most: int, choices: int) -> None:
        self.tokens = min(step, most)
        self.choices = choices
        self._step, self._most = step, most
        self._loop = asyncio.get_running_loop()
        self._ask: Callable[[], object] | None = None
        self._asked = False  # and not yet told
        self._refused = False  # the last time that more was asked for
        self._over = False  # whoever would be asked has nothing more, or is gone

    def ask_by(self, ask: Callable[[], object]) -> None:
        """Have `ask` called, in the event loop, whenever the choices come near their end."""
        self._ask = ask

    @property
    def plan_ended(self) -> bool:
        """Whether the plan, and not the answer's own limit, is what ends it."""
        return self._refused and self.tokens < self._most

    @property
    def next_tokens(self) -> int:
        """What to grant to each choice next."""
        return min(self._step, self._most - self.tokens)

    def left(self, said: int) -> int:
        """Return how many more tokens a choice may have; called by the engine's thread."""
        near = said >= self.tokens - self._step // 2 and self.tokens < self._most
        if near and not (self._asked or self._over) and self._ask is not None:
            self._asked = True
            try:
                self._loop.call_soon_threadsafe(self._ask)
            except RuntimeError:  # the event loop is closed
                self._over = True
        return self.tokens - said

    def waits(self) -> bool:
        """Whether more may yet be granted; called by the engine's thread."""
        return self._ask is not None and not self._over and self.tokens < self._most

    def grow(self) -> None:
        """What was asked for is granted."""
        self.tokens += self.next_tokens
        self._asked = self._refused = False

    def lower(self, tokens: int) -> None:
        """There is no more than this to begin with."""
        self.tokens = min(self.tokens, tokens)
        self._refused = True

    def shrink(self) -> None:
        """It is not granted: ask for half of it, later, down to a few."""
        self._step //= 2
        self._refused = True
        self._over = self._step < LEAST_TOKENS
        self._asked = False
