"""A request that is ready for the engine, with what it takes to read the answer.

In: prompt ids, parameters, grammar, all checked.  Out: the same, as one thing to hand on.
Knows no engine: making one is all the work on text, so it may be done elsewhere beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.engine import Request
from puna.llm.answer import Reading, Transcript


@dataclass(frozen=True)
class Prepared:
    """One request of one or several choices."""

    request: Request
    reading: Reading

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return len(self.request.prompt_ids)

    def most_tokens(self, context_tokens: int) -> int:
        """Return what all choices together may say at most in a context of so many tokens."""
        room = max(context_tokens - self.prompt_tokens, 0)
        wanted = self.request.params.max_tokens
        return self.request.params.n * (room if wanted is None else min(wanted, room))

    def transcript(self) -> Transcript:
        """Return an empty transcript of the answer."""
        return Transcript(self.reading, self.prompt_tokens)
