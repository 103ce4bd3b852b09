"""How busy an engine is, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an engine is: sequences, blocks of its KV cache, and what its guesses were worth."""

    running: int
    waiting: int
    held_blocks: int
    blocks: int
    drafted_tokens: int = 0  # guessed by looking up what followed before, and checked
    accepted_tokens: int = 0  # of these, the right ones
