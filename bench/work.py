"""What is measured: amounts of work that every engine can do.

Imports nothing of Puna's, so that a peer's interpreter can read it too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """`sequences` prompts of `context` tokens each, the first `shared` of them alike; `new` follow.

    Timed is the prefill alone where `new` is 0, everything where `shared` is not, and otherwise
    the decode alone.
    """

    name: str
    sequences: int
    context: int
    new: int
    shared: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that the timed part reads or makes."""
        return self.sequences * (self.new or self.context)

    def prompts(self, vocabulary: int, seed: int) -> list[list[int]]:
        """Random prompts, the same for every engine in one round."""
        rng = random.Random(seed)
        common = [rng.randrange(3, vocabulary) for _ in range(self.shared)]
        own = self.context - self.shared
        return [
            common + [rng.randrange(3, vocabulary) for _ in range(own)]
            for _ in range(self.sequences)
        ]


WORKS = (
    Work("prefill of 512", 1, 512, 0),
    Work("decode, 1 sequence", 1, 16, 64),
    Work("decode, 1 sequence after 1,024", 1, 1024, 64),
    Work("decode, 8 sequences", 8, 16, 32),
    Work("decode, 16 sequences", 16, 16, 32),
    Work("decode, 8 sequences after 1,024", 8, 1024, 16),
    Work("16 requests sharing 2,048 tokens", 16, 2064, 32, shared=2048),
)
